// Forms made of JSON Schemas.
//
// A control reads what was entered (`undefined`, if nothing was), and shows what the server's check says of
// a place in it. What is optional and empty is left out; objects that are optional can be added.

import { button, choices, el, freshId } from './dom.js';
import { chat } from './chat.js';
import { inWords, kindOf, resolved } from './schema.js';

/**
 * @typedef {object} Control
 * @property {HTMLElement} node
 * @property {() => any} read what was entered; throws `Unreadable`
 * @property {(path: (string | number)[], rule: string) => void} mark shows a fault at a place
 * @property {() => void} clear takes all faults away
 */

/** What was entered cannot be read; the field says why. */
export class Unreadable extends Error {}

const DEEPEST = 10;
const LARGEST_FILE = 8 * 2 ** 20;
const FEW = 4; // choices that are buttons
const SHORT = 30; // characters of all of them

/** A form for a schema, with what goes in at first. */
export function formOf(schema, value) {
  return control(schema, { root: schema, value, required: true, name: '', depth: 0 });
}

/** @returns {Control} */
function control(given, place) {
  const { schema, nullable, name } = resolved(given, place.root);
  const value = place.value === undefined ? schema.default : place.value;
  const inner = { ...place, value, schema, required: place.required && !nullable, nullable };
  if (place.depth > DEEPEST) return jsonBox(inner);
  const kind = kindOf(schema, place.root);
  if (kind === 'constant') return constant(inner);
  const isLarge = kind === 'object' || kind === 'union';
  const isOptional = !inner.required && !place.opened && (value ?? null) === null;
  const addable = isLarge && isOptional && place.depth > 0;
  return addable ? added(given, inner, name) : (MAKERS[kind] ?? jsonBox)(inner);
}

const MAKERS = { text, number, boolean, choice, file, list, union, object, messages: chat };
for (const type of ['date', 'time', 'datetime-local']) MAKERS[type] = (place) => moment(place, type);

/** A field: a label, a hint, one input, and room for a fault. */
export function field(place, input, read) {
  const id = freshId();
  const fault = el('p', { class: 'fault', id: `${id}-fault`, hidden: true });
  const hint = hintOf(place);
  input.id = id;
  input.setAttribute('aria-describedby', `${id}-hint ${id}-fault`);
  if (place.required && place.name) input.setAttribute('aria-required', 'true');
  const node = el(
    'div',
    { class: 'field' },
    labelOf(place, id),
    el('p', { class: 'hint', id: `${id}-hint`, hidden: !hint }, hint),
    input,
    fault,
  );
  if (place.labelled && !place.grouped) input.setAttribute('aria-label', place.labelled);
  const say = (text) => {
    fault.textContent = fault.hidden || !fault.textContent ? text : `${fault.textContent}; ${text}`;
    fault.hidden = !text;
    input.setAttribute('aria-invalid', String(Boolean(text)));
  };
  return {
    node,
    read: () => {
      try {
        return read();
      } catch (error) {
        say(error.message);
        throw error;
      }
    },
    mark: (path, rule) => say(path.length ? `${path.join('.')}: ${rule}` : rule),
    clear: () => {
      fault.textContent = '';
      fault.hidden = true;
      input.removeAttribute('aria-invalid');
    },
  };
}

/** What stands above an input; a group of inputs has its legend. */
function labelOf(place, id) {
  if (place.labelled) return null;
  const name = place.name || 'Value';
  const label = place.grouped
    ? el('p', { class: 'label', 'aria-hidden': 'true' }, name)
    : el('label', { for: id }, name);
  return el('div', { class: 'label-row' }, label, mark(place));
}

function mark(place) {
  return place.required && place.name && el('span', { class: 'required', 'aria-hidden': 'true' }, ' required');
}

function hintOf({ schema }) {
  const limits = [
    schema.minimum !== undefined && `at least ${schema.minimum}`,
    schema.exclusiveMinimum !== undefined && `more than ${schema.exclusiveMinimum}`,
    schema.maximum !== undefined && `at most ${schema.maximum}`,
    schema.exclusiveMaximum !== undefined && `less than ${schema.exclusiveMaximum}`,
    schema.minLength > 1 && `at least ${schema.minLength} characters`,
    schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
    schema.pattern && `matches ${schema.pattern}`,
  ].filter(Boolean);
  const examples = Array.isArray(schema.examples) && schema.examples.length;
  if (examples) limits.push(`such as ${JSON.stringify(schema.examples[0])}`);
  return [schema.description, limits.join(', ')].filter(Boolean).join(' · ');
}

/** A box for a text, which grows with it. */
export function textBox(value, props = {}) {
  const box = el('textarea', { rows: 1, spellcheck: 'false', ...props });
  box.value = value ?? '';
  return box;
}

function text(place) {
  const short = place.schema.format || place.schema.maxLength <= 120;
  const value = typeof place.value === 'string' ? place.value : '';
  const input = short ? el('input', { type: 'text', value }) : textBox(value);
  return field(place, input, () => input.value || undefined);
}

function number(place) {
  const step = place.schema.type === 'integer' ? 1 : 'any';
  const input = el('input', { type: 'number', step, value: place.value ?? '' });
  return field(place, input, () => {
    if (input.validity.badInput) throw new Unreadable('must be a number');
    return input.value === '' ? undefined : Number(input.value);
  });
}

function moment(place, type) {
  const isFull = type === 'datetime-local';
  const value = isFull ? localTime(place.value) : (place.value ?? '');
  const input = el('input', { type, value, step: type === 'date' ? null : 1 });
  const schema = isFull
    ? { ...place.schema, description: place.schema.description ?? 'in your own time zone' }
    : place.schema;
  return field({ ...place, schema }, input, () => {
    if (!input.value) return undefined;
    return isFull ? new Date(input.value).toISOString() : input.value;
  });
}

function localTime(value) {
  const date = new Date(value ?? NaN);
  if (Number.isNaN(date.getTime())) return '';
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

function boolean(place) {
  return oneOf(place, [true, false], ['yes', 'no']);
}

function choice(place) {
  const options = place.schema.enum;
  return oneOf(place, options, options.map((each) => (each === null ? 'none' : String(each))));
}

/** One of several values: buttons, if there are few; nothing, as long as none is chosen. */
function oneOf(place, options, words) {
  let chosen = options.indexOf(place.value);
  const read = () => (chosen < 0 ? undefined : options[chosen]);
  if (options.length <= FEW && words.join('').length <= SHORT) {
    const shown = words.map((word, at) => [String(at), word]);
    const left = place.required || chosen >= 0 ? [] : [['-1', 'not given']];
    const choose = (at) => {
      chosen = Number(at);
    };
    const name = place.labelled ?? place.name;
    const buttons = choices(name, [...shown, ...left], String(chosen), choose, { role: 'radiogroup' });
    return field({ ...place, grouped: true }, buttons, read);
  }
  const none = place.required ? 'choose…' : '';
  const input = el(
    'select',
    {
      onchange: () => {
        chosen = Number(input.value);
      },
    },
    el('option', { value: -1 }, none),
    words.map((word, at) => el('option', { value: at, selected: at === chosen }, word)),
  );
  return field(place, input, read);
}

function constant(place) {
  const node = el('p', { class: 'constant' }, place.name && `${place.name}: `);
  node.append(el('code', {}, JSON.stringify(place.schema.const)));
  return { node, read: () => place.schema.const, mark: () => {}, clear: () => {} };
}

function file(place) {
  let content = place.value;
  const input = el('input', { type: 'file' });
  let reading = Promise.resolve();
  const made = field(place, input, () => content);
  input.addEventListener('change', () => {
    made.clear();
    const [chosen] = input.files;
    content = undefined;
    if (!chosen) return;
    if (chosen.size > LARGEST_FILE) {
      made.mark([], `is larger than ${LARGEST_FILE / 2 ** 20} MB`);
      return;
    }
    reading = asBase64(chosen).then((text) => {
      content = text;
    });
  });
  return { ...made, ready: () => reading };
}

async function asBase64(chosen) {
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(chosen);
  });
  return String(reader.result).split(',')[1] ?? '';
}

/** A box for any JSON value. */
export function jsonBox(place) {
  const value = place.value === undefined ? '' : JSON.stringify(place.value, null, 2);
  const input = textBox(value, { class: 'code', rows: 3, placeholder: 'JSON' });
  return field(place, input, () => {
    if (!input.value.trim()) return undefined;
    try {
      return JSON.parse(input.value);
    } catch (error) {
      throw new Unreadable(`is no JSON: ${error.message}`);
    }
  });
}

/** Controls under one heading; faults that none of them takes stand there. */
function group(place, props, ...children) {
  const fault = el('p', { class: 'fault', hidden: true });
  const legend = place.name && el('legend', {}, place.name, mark(place));
  const hint = place.depth > 0 && place.schema.description;
  const node = el(
    'fieldset',
    { class: place.name ? 'group' : 'plain', ...props },
    legend,
    hint && el('p', { class: 'hint' }, hint),
    fault,
    ...children,
  );
  const say = (path, rule) => {
    fault.textContent = [fault.textContent, [...path, ''].join('.').slice(0, -1), rule].filter(Boolean).join(' ');
    fault.hidden = false;
  };
  const clear = () => {
    fault.textContent = '';
    fault.hidden = true;
  };
  return { node, say, clear };
}

function object(place) {
  const { schema, root, depth } = place;
  const required = new Set(schema.required);
  const value = Object(place.value);
  const fields = Object.entries(schema.properties).map(([name, each]) => [
    name,
    control(each, {
      root,
      name,
      depth: depth + 1,
      required: required.has(name),
      value: Object.hasOwn(value, name) ? value[name] : undefined,
    }),
  ]);
  const byName = new Map(fields);
  // What no field is for is kept: it was given, or it is allowed.
  const further = Object.fromEntries(Object.entries(value).filter(([name]) => !byName.has(name)));
  const { node, say, clear } = group(place, {}, fields.map(([, each]) => each.node));
  return {
    node,
    read: () => {
      const found = Object.entries(further);
      for (const [name, each] of fields) {
        const entered = each.read();
        if (entered !== undefined) found.push([name, entered]);
      }
      return Object.fromEntries(found);
    },
    mark: ([first, ...rest], rule) =>
      byName.has(first) ? byName.get(first).mark(rest, rule) : say([first ?? '', ...rest], rule),
    clear: () => [clear(), ...fields.map(([, each]) => each.clear())],
    ready: () => Promise.all(fields.map(([, each]) => each.ready?.())),
  };
}

function list(place) {
  const { schema, root, depth, name } = place;
  const items = [];
  const rows = el('div', { class: 'rows' });
  const add = (value) => {
    const item = control(schema.items, {
      root,
      name: `${name || 'item'} ${items.length + 1}`,
      labelled: isShort(schema.items, root) ? `${name} ${items.length + 1}` : null,
      depth: depth + 1,
      required: true,
      value,
    });
    const row = el('div', { class: 'row' }, item.node);
    const remove = button('Remove', () => {
      items.splice(items.indexOf(item), 1);
      row.remove();
      more.focus();
    }, { class: 'quiet', 'aria-label': `Remove ${name} ${items.length + 1}` });
    row.append(remove);
    items.push(item);
    rows.append(row);
    return item;
  };
  const more = button('Add', () => {
    add().node.querySelector('input, textarea, select, button')?.focus();
  }, { class: 'quiet', 'aria-label': `Add to ${name || 'list'}` });
  const { node, say, clear } = group({ ...place, name: name || 'List' }, {}, rows, more);
  for (const each of Array.isArray(place.value) ? place.value : []) add(each);
  return {
    node,
    read: () => {
      const found = items.map((each) => each.read() ?? null);
      return found.length || place.required ? found : undefined;
    },
    mark: ([first, ...rest], rule) =>
      items[first] ? items[first].mark(rest, rule) : say([], rule),
    clear: () => [clear(), ...items.map((each) => each.clear())],
    ready: () => Promise.all(items.map((each) => each.ready?.())),
  };
}

function isShort(given, root) {
  return ['text', 'number', 'choice', 'date'].includes(kindOf(resolved(given, root).schema, root));
}

function union(place) {
  const { schema, root, depth, required } = place;
  const forms = schema.anyOf ?? schema.oneOf;
  const words = forms.map((each) => resolved(each, root).name || each.title || inWords(each, root));
  let chosen = Math.max(0, forms.findIndex((each) => fits(place.value, each, root)));
  let current;
  const room = el('div', {});
  const choose = (at, value) => {
    chosen = Number(at);
    const labelled = place.name || 'Value';
    current = control(forms[chosen], { root, depth: depth + 1, required, value, name: '', labelled });
    room.replaceChildren(current.node);
  };
  const options = words.map((word, at) => [String(at), word]);
  const name = place.name || 'Kind';
  const picker = choices(`${name}: which kind`, options, String(chosen), (at) => choose(at));
  choose(chosen, place.value);
  const { node, clear } = group({ ...place, name }, {}, picker, room);
  return {
    node,
    read: () => current.read(),
    mark: (path, rule) => current.mark(path, rule),
    clear: () => [clear(), current.clear()],
    ready: () => current.ready?.(),
  };
}

function fits(value, given, root) {
  const { schema } = resolved(given, root);
  if (value === undefined) return false;
  if ('const' in schema) return schema.const === value;
  const type = Array.isArray(value) ? 'array' : typeof value;
  const names = schema.required ?? [];
  return (
    (schema.type === type || (schema.type === 'integer' && type === 'number')) &&
    (type !== 'object' || names.every((name) => Object.hasOwn(value ?? {}, name)))
  );
}

/** What is optional and large comes when it is asked for. */
function added(given, place, name) {
  let current = null;
  const room = el('div', { class: 'added' });
  const add = button(`Add ${place.name || name}`, () => {
    current = control(given, { ...place, opened: true });
    const remove = button('Remove', () => {
      current = null;
      room.replaceChildren(closed);
      add.focus();
    }, { class: 'quiet', 'aria-label': `Remove ${place.name || name}` });
    room.replaceChildren(current.node, remove);
    room.querySelector('input, textarea, select')?.focus();
  }, { class: 'quiet' });
  const hint = place.schema.description;
  const heading = el('p', { class: 'label' }, place.name || name);
  const about = [heading, hint && el('p', { class: 'hint' }, hint)];
  const closed = el('div', { class: 'field' }, about, add);
  room.append(closed);
  return {
    node: room,
    read: () => current?.read(),
    mark: (path, rule) => current?.mark(path, rule),
    clear: () => current?.clear(),
    ready: () => current?.ready?.(),
  };
}
