// Elements. Whatever agents and people wrote becomes text, never markup: nothing here parses any.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element with attributes, listeners (`onclick`) and children.
 * @param {string} tag
 * @param {Record<string, any>} [props] null, undefined and false leave one out
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function el(tag, props = {}, ...children) {
  return dressed(document.createElement(tag), props, children);
}

/** The same in SVG. */
export function svg(tag, props = {}, ...children) {
  return dressed(document.createElementNS('http://www.w3.org/2000/svg', tag), props, children);
}

function dressed(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat().filter((each) => each || each === ''));
  return node;
}

let made = 0;

/** An id that no other element has. */
export function freshId() {
  made += 1;
  return `e${made}`;
}

/** A button that says when what it does has failed; it cannot be pressed twice meanwhile. */
export function button(text, act, props = {}) {
  const node = el('button', { type: 'button', ...props }, text);
  node.addEventListener('click', () => guarded(node, act));
  return node;
}

/** Does something once at a time, for a button; what goes wrong stands beside it. */
export async function guarded(node, act) {
  if (node.getAttribute('aria-disabled')) return;
  node.setAttribute('aria-disabled', 'true'); // keeps the focus, as `disabled` does not
  let fault = node.parentElement?.querySelector(':scope > .fault');
  fault?.remove();
  try {
    await act();
  } catch (error) {
    fault = el('p', { class: 'fault', role: 'alert' }, String(error.message ?? error));
    node.parentElement?.append(fault);
  } finally {
    node.removeAttribute('aria-disabled');
  }
}

/** A part that can be opened, whose content is made when it first is. */
export function folded(title, make, props = {}) {
  const node = el('details', props, el('summary', {}, title));
  const fill = () => {
    if (node.open && node.childElementCount === 1) node.append(make());
  };
  node.addEventListener('toggle', fill);
  fill();
  return node;
}

/** Buttons of which one is chosen, as radio buttons to keyboard and screen reader. */
export function choices(legend, options, chosen, choose, props = {}) {
  const name = freshId();
  return el(
    'fieldset',
    { class: 'choices', ...props },
    el('legend', { class: 'unseen' }, legend),
    options.map(([value, text]) =>
      el(
        'label',
        {},
        el('input', {
          type: 'radio',
          name,
          value,
          checked: value === chosen,
          onchange: () => choose(value),
        }),
        el('span', {}, text),
      ),
    ),
  );
}

/** Says something to whoever listens to the page instead of looking at it. */
export function say(text) {
  document.getElementById('said').textContent = text;
}

const UNITS = [
  ['d', 86400],
  ['h', 3600],
  ['min', 60],
];

/** How long ago a moment was, in a word; it stays true while it is shown. */
export function since(moment) {
  const date = new Date(moment);
  const node = el('time', { datetime: date.toISOString(), title: date.toLocaleString() });
  node.textContent = ago(date);
  return node;
}

function ago(date) {
  const seconds = Math.max(0, (Date.now() - date.getTime()) / 1000);
  const unit = UNITS.find(([, size]) => seconds >= size);
  return unit ? `${Math.floor(seconds / unit[1])} ${unit[0]} ago` : 'just now';
}

setInterval(() => {
  for (const node of document.querySelectorAll('time')) {
    const text = ago(new Date(node.dateTime));
    if (node.textContent !== text) node.textContent = text;
  }
}, 15000);

const WORDS = {
  pending: 'running',
  interrupted: 'asks',
  success: 'done',
  error: 'failed',
  timeout: 'timed out',
  cancelled: 'cancelled',
};

/** A run's status in a word of colour. */
export function badge(status) {
  return el('span', { class: 'badge', 'data-status': status }, WORDS[status] ?? status);
}

export function statusWord(status) {
  return WORDS[status] ?? status;
}

/** An id that is short enough to be looked at. */
export function shortId(id) {
  return el('code', { class: 'id', title: id }, id.slice(0, 8));
}

/** A button that copies a text. */
export function copier(text, make) {
  return button(text, async () => {
    await navigator.clipboard.writeText(make());
    say('Copied');
  }, { class: 'quiet' });
}
