// What a run does, event by event: pieces of text grow together, states show what changed in them.

import { el, folded } from './dom.js';
import { changes, json, readable } from './values.js';

const MOST = 300; // events that are shown
const LONGEST = 200000; // characters of one growing text
const PIECES = ['text', 'token', 'delta', 'chunk', 'content', 'value'];

/** A list of events that grows. */
export function eventLog() {
  const list = el('ol', { class: 'events' });
  const dropped = el('p', { class: 'hint', hidden: true });
  const empty = el('p', { class: 'hint' }, 'Nothing yet.');
  let count = 0;
  let state = {};
  let growing = null;

  const append = (node) => {
    empty.hidden = true;
    list.append(node);
    count += 1;
    if (list.childElementCount > MOST) {
      list.firstChild.remove();
      dropped.textContent = `${count - MOST} earlier events are not shown.`;
      dropped.hidden = false;
    }
  };
  const log = {
    node: el('div', {}, empty, dropped, list),
    latest: '0',
    add: ({ id, data }) => {
      log.latest = id;
      const piece = pieceOf(data);
      if (piece && growing?.name === piece.name && growing.length < LONGEST) {
        growing.node.append(piece.text);
        growing.length += piece.text.length;
        return;
      }
      growing = null;
      if (piece) {
        const node = el('p', { class: 'text' }, piece.text);
        growing = { name: piece.name, node, length: piece.text.length };
        append(row('writes', node));
      } else if (data.type === 'custom') {
        append(row('tells', readable(data.update), data));
      } else if (data.type === 'values') {
        const changed = changes(state, data.values);
        state = data.values;
        const isSame = changed && typeof changed === 'object' && !Object.keys(changed).length;
        if (data.status !== 'pending') append(row('done', null, data));
        else if (!isSame) append(row('state', readable(changed), data));
      } else if (data.type === 'interrupt') append(row('asks', null, data));
      else append(row(data.type === 'error' ? 'failed' : String(data.type), null, data));
    },
  };
  return log;
}

function row(kind, content, data) {
  return el(
    'li',
    { 'data-kind': kind },
    el('span', { class: 'kind' }, kind),
    el('div', { class: 'content' }, content, data && folded('JSON', () => json(data), { class: 'raw' })),
  );
}

/** The piece of a text that an event carries, if it carries nothing else. */
function pieceOf({ type, update }) {
  if (type !== 'custom') return null;
  const names = Object.keys(update ?? {});
  const [name] = names;
  const isPiece = names.length === 1 && PIECES.includes(name) && typeof update[name] === 'string';
  return isPiece ? { name, text: update[name] } : null;
}
