// The views of threads: all of them, and one with its state, its runs and its history, step by step.

import { badge, button, el, folded, shortId, since } from './dom.js';
import { follow } from './live.js';
import { runList } from './runs.js';
import { agents, ask } from './server.js';
import { changes, json, readable } from './values.js';

const MOST = 20; // threads, or steps, that are asked for at once

/** All threads, newest first. */
export async function threadsView() {
  const list = el('ul', { class: 'runs' });
  const { more, first } = pages(
    (limit, offset) => ask('POST', 'threads/search', { limit, offset }),
    (found) => list.append(...found.map(rowOf)),
  );
  const none = el('p', { class: 'empty' }, 'No threads yet. A run can be started on one.');
  none.hidden = (await first()) > 0;
  return {
    title: 'Threads',
    node: el('div', { class: 'narrow' }, el('h1', {}, 'Threads'), list, none, more),
  };
}

/** A button that brings more, as long as there may be more. */
function pages(load, add) {
  let shown = 0;
  const next = async () => {
    const { found, limit } = await fitting(load, shown);
    const isLast = found.length < limit;
    add(found, isLast);
    shown += found.length;
    more.hidden = isLast;
    return shown;
  };
  const more = button('Show more', next, { hidden: true });
  return { more, first: next };
}

/** As many as there may be at once: the server says how many fit into an answer, if these do not. */
async function fitting(load, offset) {
  try {
    return { found: await load(MOST, offset), limit: MOST };
  } catch (error) {
    const limit = Number(/ask for a limit of (\d+)/.exec(error.message)?.[1]);
    if (!limit) throw error;
    return { found: await load(limit, offset), limit };
  }
}

function rowOf(thread) {
  return el(
    'li',
    {},
    el(
      'a',
      { class: 'run', href: `#/threads/${thread.thread_id}` },
      el('span', { class: 'name' }, shortId(thread.thread_id)),
      badge(thread.status),
      el('span', { class: 'facts' }, gist(thread.values)),
      since(thread.updated_at),
    ),
  );
}

/** A state in a line: what was said last, or the first of its values. */
function gist(values) {
  const said = values?.messages?.at?.(-1)?.content;
  if (typeof said === 'string') return cut(said, 120);
  const isObject = values && typeof values === 'object' && !Array.isArray(values);
  if (!isObject) return values === undefined || values === null ? 'empty' : cut(JSON.stringify(values), 120);
  const words = Object.entries(values)
    .slice(0, 5)
    .map(([name, each]) => `${name}: ${typeof each === 'string' ? cut(each, 60) : cut(JSON.stringify(each), 60)}`);
  return words.join(' · ') || 'empty';
}

function cut(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** One thread. */
export async function threadView([id]) {
  const [thread, known] = await Promise.all([ask('GET', `threads/${id}`), agents()]);
  const names = new Map(known.map((each) => [each.agent_id, each.metadata.ref.name]));
  const runs = runList(names, 'No runs on it.');
  const state = el('div', {}, readable(thread.values));
  const steps = el('ol', { class: 'steps' });
  let before = '';
  let newer = null;
  const { more, first } = pages(
    (limit) => ask('GET', `threads/${id}/history?limit=${limit}${before && `&before=${before}`}`),
    (found, isLast) => {
      for (const step of found) {
        if (newer) steps.append(stepOf(newer, step));
        newer = step;
      }
      before = found.at(-1)?.checkpoint.checkpoint_id ?? before;
      if (isLast && newer) {
        steps.append(stepOf(newer, null));
        newer = null;
      }
    },
  );
  const all = await first();
  const remove = async () => {
    await ask('DELETE', `threads/${id}`);
    location.hash = '#/threads';
  };
  let stamp = '';
  return {
    title: `Thread ${id.slice(0, 8)}`,
    shown: () =>
      follow({ thread_id: id, limit: 100 }, async (found) => {
        runs.show(found);
        const now = JSON.stringify(found.runs.map((each) => each.updated_at));
        if (stamp && stamp !== now) state.replaceChildren(readable((await ask('GET', `threads/${id}`)).values));
        stamp = now;
      }),
    node: el(
      'div',
      {},
      el('a', { class: 'back', href: '#/threads' }, '← All threads'),
      el(
        'header',
        { class: 'title' },
        el(
          'div',
          { class: 'heading-row' },
          el('h1', {}, 'Thread ', shortId(id), ' ', badge(thread.status)),
          el('div', { class: 'actions' }, button('Delete', remove)),
        ),
        el('p', { class: 'facts' }, 'since ', since(thread.created_at)),
      ),
      el(
        'div',
        { class: 'columns' },
        el(
          'div',
          { class: 'stack' },
          el('section', { class: 'panel' }, el('h2', {}, 'State'), state, folded('As JSON', () => json(thread))),
          el('section', { class: 'panel' }, el('h2', {}, 'History'), all ? steps : el('p', { class: 'hint' }, 'Nothing ran on it.'), more),
        ),
        el(
          'div',
          { class: 'stack' },
          el('section', { class: 'panel' }, el('h2', {}, 'Runs on it'), runs.node),
          el(
            'section',
            { class: 'panel' },
            el('h2', {}, 'Go on with it'),
            el('ul', { class: 'plain' }, known.map((each) =>
              el('li', {}, el('a', { href: `#/agents/${each.agent_id}/thread/${id}` }, `Run ${each.metadata.ref.name} on this thread`)),
            )),
          ),
        ),
      ),
    ),
  };
}

/** A step of a history: what differs from the one before it. */
function stepOf(step, older) {
  const { source, step: number } = step.metadata ?? {};
  const changed = older ? changes(older.values, step.values) : step.values;
  const names = Object.keys(Object(changed));
  const words = names.length ? `changed ${names.slice(0, 6).join(', ')}` : 'changed nothing';
  return el(
    'li',
    {},
    folded(
      el('span', {}, `${number ?? ''} `, el('span', { class: 'facts' }, [source, words].filter(Boolean).join(' · '))),
      () => el('div', {}, readable(changed), folded('The whole state', () => json(step))),
    ),
  );
}
