// The form that starts a run: from the agent's schemas, or as JSON.

import { asCurl, asPython, freshThread } from './copy.js';
import { choices, copier, el, folded, freshId, guarded, say } from './dom.js';
import { formOf, jsonBox } from './forms.js';
import { look } from './live.js';
import { ask } from './server.js';

/**
 * A form for a run of an agent.
 * @param {{agent_id: string}} agent
 * @param {any} specs what the agent says of itself
 * @param {{thread?: string, creation?: any}} given the thread to run on; a run to do again
 */
export function startForm(agent, specs, given = {}) {
  const input = side('Input', 'input', specs.input, given.creation?.input);
  const settings = given.creation?.config?.configurable;
  const config = side('Configuration', 'configurable', specs.config, settings);
  const thread = threadPicker(given.thread);
  const fault = el('p', { class: 'fault', role: 'alert', hidden: true });
  const go = el('button', { class: 'primary', type: 'submit' }, 'Start run');

  const body = () => {
    const configurable = config.read();
    const made = { agent_id: agent.agent_id, input: input.read() ?? {} };
    const isEmpty = !configurable || !Object.keys(configurable).length;
    return isEmpty ? made : { ...made, config: { configurable } };
  };
  const start = async () => {
    for (const each of [input, config]) each.clear();
    fault.hidden = true;
    try {
      await Promise.all([input.ready(), config.ready()]);
      const made = body();
      const { faults } = await ask('POST', `page/data/agents/${agent.agent_id}/check`, {
        input: made.input,
        configurable: made.config?.configurable ?? {},
      });
      for (const { at, rule } of faults) (at[0] === 'input' ? input : config).mark(at.slice(1), rule);
      if (!faults.length) return await started(made, thread.value);
      fault.textContent = 'Nothing was started: see what is marked.';
    } catch (error) {
      fault.textContent = error.message;
    }
    fault.hidden = false;
    form.querySelector('[aria-invalid=true]')?.focus();
    return undefined;
  };
  const form = el(
    'form',
    {
      novalidate: true,
      'aria-label': 'Start a run',
      onsubmit: (event) => {
        event.preventDefault();
        guarded(go, start);
      },
      onkeydown: (event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      },
    },
    input.node,
    config.isEmpty && !settings
      ? folded('Configuration', () => config.node)
      : config.node,
    thread.node,
    fault,
    el(
      'div',
      { class: 'actions' },
      go,
      copier('Copy as curl', () => asCurl(body(), thread.value)),
      copier('Copy as Python', () => asPython(body(), thread.value)),
    ),
  );
  return form;
}

async function started(body, thread) {
  const isNew = thread === 'new';
  const at = thread ? `threads/${isNew ? freshThread() : thread}/runs` : 'runs';
  const run = await ask('POST', at, {
    ...body,
    ...(isNew && { if_not_exists: 'create' }),
    stream_mode: ['values', 'custom'], // so that whoever comes to look sees what it did so far
  });
  say('The run has started');
  look();
  location.hash = `#/runs/${run.run_id}`;
}

/** One side of the form: fields, or the same as JSON. */
function side(title, name, schema, value) {
  const isEmpty = !Object.keys(schema?.properties ?? {}).length && !schema?.$ref && !schema?.anyOf;
  const room = el('div', {});
  const heading = freshId();
  let current;
  const show = (kind, given) => {
    current = kind === 'form' ? formOf(schema, given) : jsonBox({ schema: {}, value: given, name: '', labelled: `${title} as JSON` });
    room.replaceChildren(current.node);
  };
  const change = (kind) => {
    let given;
    try {
      given = current.read();
    } catch {
      given = undefined; // what cannot be read is not carried over
    }
    show(kind, given);
  };
  show(isEmpty ? 'json' : 'form', value);
  const options = [
    ['form', 'Form'],
    ['json', 'JSON'],
  ];
  const node = el(
    'section',
    { class: 'side', 'aria-labelledby': heading },
    el(
      'div',
      { class: 'heading-row' },
      el('h3', { id: heading }, title),
      !isEmpty && choices(`${title} as`, options, 'form', (kind) => change(kind)),
    ),
    room,
  );
  node.dataset.side = name;
  return {
    node,
    isEmpty,
    read: () => current.read(),
    mark: (path, rule) => current.mark(path, rule),
    clear: () => current.clear(),
    ready: () => current.ready?.(),
  };
}

function threadPicker(given) {
  const select = el(
    'select',
    { id: 'thread' },
    el('option', { value: '' }, 'no thread: the run stands alone'),
    el('option', { value: 'new' }, 'a new thread, on which further runs go on'),
    given && el('option', { value: given, selected: true }, `thread ${given}`),
  );
  return {
    node: el('div', { class: 'field' }, el('label', { for: 'thread' }, 'On'), select),
    get value() {
      return select.value;
    },
  };
}
