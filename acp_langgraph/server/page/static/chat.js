// The control for a list of chat messages, as agents on LangChain take them.

import { button, choices, el } from './dom.js';
import { field, jsonBox, textBox } from './forms.js';

const ROLES = [
  ['user', 'User'],
  ['assistant', 'Assistant'],
  ['system', 'System'],
];

/** @returns {import('./forms.js').Control} */
export function chat(place) {
  const given = Array.isArray(place.value) ? place.value : [];
  if (!given.every(isSimple)) return jsonBox(place);
  const messages = [];
  const rows = el('div', { class: 'rows' });
  const add = (role = 'user', content = '') => {
    const box = textBox(content, { rows: 2, placeholder: 'Write a message' });
    const number = messages.length + 1;
    const made = field(
      { ...place, schema: {}, labelled: number === 1 ? 'Message' : `Message ${number}` },
      box,
      () => box.value,
    );
    const message = { role, box, made };
    const choose = (chosen) => {
      message.role = chosen;
    };
    const picker = choices(`Role of message ${number}`, ROLES, role, choose);
    messages.push(message);
    rows.append(el('div', { class: 'message-row' }, picker, made.node));
    return box;
  };
  for (const each of given) add(each.role, each.content);
  if (!given.length) add();
  const more = button('Add a message', () => add().focus(), { class: 'quiet' });
  const node = el(
    'fieldset',
    { class: 'group' },
    el('legend', {}, place.name),
    place.schema.description && el('p', { class: 'hint' }, place.schema.description),
    rows,
    more,
  );
  return {
    node,
    read: () => {
      const written = messages.filter((each) => each.box.value.trim());
      if (!written.length && !place.required) return undefined;
      return written.map((each) => ({ role: each.role, content: each.box.value }));
    },
    mark: ([first, ...rest], rule) => (messages[first] ?? messages[0]).made.mark(rest, rule),
    clear: () => messages.forEach((each) => each.made.clear()),
  };
}

function isSimple(message) {
  return typeof message?.content === 'string' && ROLES.some(([role]) => role === message.role);
}
