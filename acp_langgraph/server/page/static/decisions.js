// Questions about what tools may do: Agent Inbox's, and those of LangChain's human-in-the-loop middleware.
//
// Both are shown alike. What is sent is of the shape that the asking side wants, its `dialect`.

import { choices, el } from './dom.js';
import { field, formOf, textBox, Unreadable } from './forms.js';
import { markdown } from './markdown.js';
import { readable } from './values.js';

const WORDS = {
  approve: 'Approve',
  accept: 'Accept',
  edit: 'Edit',
  reject: 'Reject',
  respond: 'Respond',
  response: 'Respond',
  ignore: 'Ignore',
};

/** @returns {import('./forms.js').Control & {word: string}} */
export function decisionsOn({ actions, dialect }) {
  const parts = actions.map((each, at) => decisionOn(each, dialect, actions.length > 1 ? `${at + 1}. ` : ''));
  const whichOf = (path) => {
    const [at, ...rest] = dialect === 'call' ? [0, ...path] : path.slice(dialect === 'batch' ? 1 : 0);
    return [parts[at] ?? parts[0], rest];
  };
  return {
    node: el('div', { class: 'decisions' }, parts.map((each) => each.node)),
    word: 'Buttons',
    read: () => {
      const made = parts.map((each) => each.read());
      if (dialect === 'batch') return { decisions: made };
      return dialect === 'inbox' ? made : made[0];
    },
    mark: (path, rule) => {
      const [part, rest] = whichOf(path);
      part.mark(rest, rule);
    },
    clear: () => parts.forEach((each) => each.clear()),
  };
}

function decisionOn(action, dialect, number) {
  const fault = el('p', { class: 'fault', hidden: true });
  const room = el('div', {});
  let kind = '';
  let current = null;
  const choose = (chosen) => {
    kind = chosen;
    current = controlFor(kind, action);
    room.replaceChildren(...(current ? [current.node] : []));
    fault.hidden = true;
  };
  const options = action.allowed.filter((each) => each in WORDS).map((each) => [each, WORDS[each]]);
  // What the middleware writes by itself only repeats the action.
  const description = action.description.split(`\n\nTool: ${action.name}`)[0];
  const say = (text) => {
    fault.textContent = text;
    fault.hidden = false;
  };
  return {
    node: el(
      'section',
      { class: 'action', 'aria-label': `${number}${action.name}` },
      el('h3', {}, number, el('code', {}, action.name)),
      description && markdown(description),
      el('div', { class: 'asked' }, readable(action.args ?? {})),
      choices(`Decision on ${action.name}`, options, '', choose, { class: 'choices decide' }),
      room,
      fault,
    ),
    read: () => {
      if (!kind) {
        say('choose what is to be done');
        throw new Unreadable(`no decision on ${action.name}`);
      }
      return (dialect === 'inbox' ? asResponse : asDecision)(kind, action, current?.read());
    },
    mark: (path, rule) => {
      const inside = path.filter((each) => !['edited_action', 'args', 'message'].includes(each));
      if (current) current.mark(inside, rule);
      else say(rule);
    },
    clear: () => {
      fault.hidden = true;
      current?.clear();
    },
  };
}

/** What is to be filled in for a decision. */
function controlFor(kind, action) {
  if (kind === 'edit') return formOf(schemaOf(action.args ?? {}), action.args ?? {});
  if (kind === 'reject' || kind === 'respond' || kind === 'response') {
    const box = textBox('', { rows: 2 });
    const required = kind !== 'reject';
    const name = required ? 'Response' : 'Reason';
    return field({ schema: {}, name, required }, box, () => {
      if (required && !box.value.trim()) throw new Unreadable('is missing');
      return box.value || undefined;
    });
  }
  return null;
}

function asDecision(type, action, entered) {
  if (type === 'edit') return { type, edited_action: { name: action.name, args: entered } };
  return entered === undefined ? { type } : { type, message: entered };
}

function asResponse(type, action, entered) {
  if (type === 'edit') return { type, args: { action: action.name, args: entered } };
  return { type, args: entered ?? null };
}

/** A schema that a value fits, to edit it by: what is a text stays one. */
function schemaOf(value) {
  const type = Array.isArray(value) ? 'array' : typeof value;
  if (value === null || !['string', 'number', 'boolean', 'object', 'array'].includes(type)) return {};
  if (type === 'array') {
    const kinds = new Set(value.map((each) => typeof each));
    const isPlain = kinds.size === 1 && ['string', 'number'].includes([...kinds][0]);
    return isPlain ? { type, items: { type: [...kinds][0] } } : {};
  }
  if (type !== 'object') return { type };
  const properties = Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, schemaOf(each)]),
  );
  return { type, properties, required: Object.keys(value).filter((name) => typeof value[name] === 'string') };
}
