// One run: what it was given, what it does, what it asks, what it came to.

import { answerForm, questionsKey } from './answers.js';
import { asCurl, asPython } from './copy.js';
import { badge, button, copier, el, folded, say, shortId, since, statusWord } from './dom.js';
import { eventLog } from './events.js';
import { look } from './live.js';
import { agentName, ask, events, pathOf } from './server.js';
import { json, readable } from './values.js';

const AGAIN = 1000; // milliseconds until a stream that broke is joined again

/** The view of a run; `look` has it look for what changed. */
export async function runView(runId) {
  let found = await ask('GET', `page/data/runs/${runId}`);
  const name = await agentName(found.run.agent_id);
  const leaving = new AbortController();
  const head = el('div', { class: 'title' });
  const question = el('div', {});
  const result = el('div', {});
  const log = eventLog();
  let asked = '';
  let watching = false;
  let pausing = null;

  const show = () => {
    const { run, output } = found;
    head.replaceChildren(...headOf(found, name));
    if (run.status === 'interrupted') {
      const key = questionsKey(found);
      if (key === asked) question.hidden = false; // asked again: what was typed is still there
      else question.replaceChildren(el('section', { class: 'panel asks' }, el('h2', {}, 'It asks'), answerForm(found)));
      asked = key;
    }
    question.hidden = run.status !== 'interrupted';
    result.replaceChildren(...resultOf(output));
  };
  const refresh = async () => {
    const now = await ask('GET', `page/data/runs/${runId}`, undefined, { signal: leaving.signal });
    if (now.run.updated_at === found.run.updated_at) return;
    const before = found.run.status;
    found = now;
    show();
    if (before !== now.run.status) say(`The run of ${name}: ${statusWord(now.run.status)}`);
    watch();
  };
  const watch = async () => {
    if (watching || document.hidden) return;
    watching = true;
    pausing = new AbortController();
    const signal = AbortSignal.any([leaving.signal, pausing.signal]);
    try {
      for (;;) {
        for await (const event of events(`${pathOf(asRun(found))}/stream`, log.latest, signal)) {
          log.add(event);
        }
        await refresh();
        if (found.run.status !== 'pending') break;
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    } catch (error) {
      if (error.name !== 'AbortError') setTimeout(() => leaving.signal.aborted || watch(), AGAIN);
    } finally {
      watching = false;
    }
  };
  // A browser has few connections to one host for all tabs: one that nobody looks at needs none.
  const turn = () => (document.hidden ? pausing?.abort() : watch());
  document.addEventListener('visibilitychange', turn, { signal: leaving.signal });
  show();
  watch();
  const { run } = found;
  return {
    title: `Run of ${name}`,
    look: () => refresh().catch((error) => error.status === 404 && gone(head, question)),
    leave: () => leaving.abort(),
    node: el(
      'div',
      { class: 'stack' },
      el('a', { class: 'back', href: '#/runs' }, '← All runs'),
      head,
      question,
      result,
      el('section', { class: 'panel' }, el('h2', {}, 'What it does'), log.node),
      el(
        'section',
        { class: 'panel' },
        el('h2', {}, 'What it was given'),
        readable(run.creation.input),
        run.creation.config && el('div', {}, el('h3', {}, 'Configuration'), readable(run.creation.config)),
        el(
          'div',
          { class: 'actions' },
          el('a', { class: 'button quiet', href: `#/agents/${run.agent_id}/again/${runId}` }, 'Start one like it'),
          copier('Copy as curl', () => asCurl(orderOf(run), threadOf(found))),
          copier('Copy as Python', () => asPython(orderOf(run), threadOf(found))),
        ),
        folded('All of it, as JSON', () => json(found)),
      ),
    ),
  };
}

function asRun({ run, stateless }) {
  return { ...run, stateless };
}

function threadOf({ run, stateless }) {
  return stateless ? '' : run.thread_id;
}

function orderOf({ agent_id: agentId, creation }) {
  return { agent_id: agentId, input: creation.input, ...(creation.config && { config: creation.config }) };
}

function gone(head, question) {
  head.append(el('p', { class: 'fault', role: 'alert' }, 'This run is no longer there.'));
  question.hidden = true;
}

function headOf(found, name) {
  const { run } = found;
  const isOpen = ['pending', 'interrupted'].includes(run.status);
  const cancel = async () => {
    await ask('POST', `${pathOf(asRun(found))}/cancel?wait=false`);
    look();
  };
  const remove = async () => {
    await ask('DELETE', pathOf(asRun(found)));
    say('The run was deleted');
    location.hash = '#/runs';
  };
  return [
    el(
      'div',
      { class: 'heading-row' },
      el('h1', {}, el('a', { href: `#/agents/${run.agent_id}` }, name), ' ', badge(run.status)),
      el('div', { class: 'actions' }, isOpen ? button('Cancel', cancel) : button('Delete', remove)),
    ),
    el(
      'p',
      { class: 'facts' },
      shortId(run.run_id),
      ' · started ',
      since(run.created_at),
      ' · changed ',
      since(run.updated_at),
      found.has_thread && ' · ',
      found.has_thread && el('a', { href: `#/threads/${run.thread_id}` }, 'its thread'),
    ),
  ];
}

function resultOf(output) {
  if (output?.type === 'result') {
    return [el('section', { class: 'panel' }, el('h2', {}, 'Result'), readable(output.values))];
  }
  if (output?.type === 'error') {
    const words = el('p', { class: 'text' }, output.description ?? 'It failed.');
    return [el('section', { class: 'panel failed' }, el('h2', {}, 'It failed'), words)];
  }
  return [];
}
