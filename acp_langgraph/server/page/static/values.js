// JSON values as people read them: texts as texts, mails as mails, lists of alike objects as tables.

import { el, folded } from './dom.js';

const LONGEST = 4000; // characters shown at once
const MOST = 50; // items shown at once
const DEEPEST = 6;

/** Anything, readable. */
export function readable(value, depth = 0) {
  if (value === null || value === undefined) return el('span', { class: 'nothing' }, 'nothing');
  if (typeof value === 'string') return text(value);
  if (typeof value !== 'object') return el('span', { class: 'scalar' }, String(value));
  if (depth >= DEEPEST) return json(value);
  return Array.isArray(value) ? list(value, depth) : object(value, depth);
}

/** A value as JSON. */
export function json(value) {
  const whole = JSON.stringify(value, null, 2) ?? '';
  const shown = whole.length > 50 * LONGEST ? `${whole.slice(0, 50 * LONGEST)}\n…` : whole;
  return el('pre', { tabindex: 0 }, el('code', {}, shown));
}

function text(value) {
  if (!value) return el('span', { class: 'nothing' }, 'empty');
  if (value.length <= LONGEST) return el('span', { class: 'text' }, value);
  const rest = folded(`${value.length - LONGEST} more characters`, () =>
    el('span', { class: 'text' }, value.slice(LONGEST)),
  );
  return el('div', {}, el('span', { class: 'text' }, value.slice(0, LONGEST)), rest);
}

function list(values, depth) {
  if (!values.length) return el('span', { class: 'nothing' }, 'none');
  if (values.every(isMessage)) return messages(values);
  const shown = values.slice(0, MOST);
  const made = columnsOf(shown)
    ? table(shown, columnsOf(shown), depth)
    : el('ol', { class: 'list' }, shown.map((each) => el('li', {}, readable(each, depth + 1))));
  if (values.length <= MOST) return made;
  return el('div', {}, made, folded(`${values.length - MOST} more`, () => json(values.slice(MOST))));
}

/** The names of alike flat objects; null if these are none. */
function columnsOf(values) {
  const isFlat = (each) =>
    each && typeof each === 'object' && !Array.isArray(each) &&
    Object.values(each).every((value) => value === null || typeof value !== 'object');
  if (values.length < 2 || !values.every(isFlat)) return null;
  const names = [...new Set(values.flatMap(Object.keys))];
  return names.length && names.length <= 8 ? names : null;
}

function table(values, names, depth) {
  return el(
    'div',
    { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Table' },
    el(
      'table',
      {},
      el('thead', {}, el('tr', {}, names.map((name) => el('th', { scope: 'col' }, name)))),
      el(
        'tbody',
        {},
        values.map((each) =>
          el('tr', {}, names.map((name) => el('td', {}, readable(each[name], depth + 1)))),
        ),
      ),
    ),
  );
}

const MAIL = new Set(['to', 'from', 'sender', 'recipient', 'cc', 'subject', 'body', 'text', 'date']);

function isMail(value) {
  const names = Object.keys(value);
  return (
    typeof value.subject === 'string' &&
    typeof (value.body ?? value.text) === 'string' &&
    names.every((name) => MAIL.has(name.toLowerCase()) && typeof value[name] !== 'object')
  );
}

function mail({ subject, body, text: words, ...heads }) {
  return el(
    'div',
    { class: 'mail' },
    el(
      'dl',
      {},
      Object.entries(heads).flatMap(([name, each]) => [el('dt', {}, name), el('dd', {}, String(each))]),
    ),
    el('p', { class: 'subject' }, subject || '(no subject)'),
    text(body ?? words),
  );
}

function object(value, depth) {
  const entries = Object.entries(value);
  if (!entries.length) return el('span', { class: 'nothing' }, 'empty');
  if (isMail(value)) return mail(value);
  const shown = entries.slice(0, MOST);
  const made = el(
    'dl',
    { class: depth ? 'values inner' : 'values' },
    shown.flatMap(([name, each]) => [
      el('dt', {}, name),
      el('dd', {}, readable(each, depth + 1)),
    ]),
  );
  if (entries.length <= MOST) return made;
  const rest = () => json(Object.fromEntries(entries.slice(MOST)));
  return el('div', {}, made, folded(`${entries.length - MOST} more`, rest));
}

const ROLES = { human: 'user', ai: 'assistant' };

function isMessage(value) {
  const role = value?.role ?? value?.type;
  return (
    value && typeof value === 'object' && 'content' in value &&
    ['human', 'ai', 'system', 'tool', 'user', 'assistant', 'AIMessageChunk'].includes(role)
  );
}

/** Chat messages, as a chat. */
function messages(values) {
  const left = values.length - MOST;
  const shown = values.slice(-MOST);
  return el(
    'div',
    { class: 'chat' },
    left > 0 && el('p', { class: 'hint' }, `${left} earlier messages`),
    shown.map((each) => {
      const role = String(each.role ?? each.type).replace('AIMessageChunk', 'ai');
      const calls = Array.isArray(each.tool_calls) ? each.tool_calls : [];
      const said = wordsOf(each.content);
      return el(
        'div',
        { class: 'message', 'data-role': ROLES[role] ?? role },
        el('p', { class: 'role' }, [ROLES[role] ?? role, each.name].filter(Boolean).join(' · ')),
        said !== '' && readable(said, 1),
        calls.map((call) =>
          el('div', { class: 'call' }, el('code', {}, String(call.name)), readable(call.args, 1)),
        ),
      );
    }),
  );
}

/** The text of a message's content, where there is nothing else in it. */
function wordsOf(content) {
  if (!Array.isArray(content)) return content;
  const texts = content.map((part) => (typeof part === 'string' ? part : part?.text));
  return texts.every((each) => typeof each === 'string') ? texts.join('') : content;
}

/** What differs of two states: names with new values; of a list that grew, what it grew by. */
export function changes(before, after) {
  const isObject = (value) => value && typeof value === 'object' && !Array.isArray(value);
  if (!isObject(before) || !isObject(after)) return after;
  const found = {};
  for (const [name, value] of Object.entries(after)) {
    const old = before[name];
    if (JSON.stringify(old) === JSON.stringify(value)) continue;
    const grew =
      Array.isArray(old) && Array.isArray(value) && old.length < value.length &&
      JSON.stringify(old) === JSON.stringify(value.slice(0, old.length));
    found[name] = grew ? value.slice(old.length) : value;
  }
  return found;
}
