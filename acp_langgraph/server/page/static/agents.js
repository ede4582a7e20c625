// The views of agents: all of them, and one with its graph, its schemas and a form to start it.

import { el, folded, shortId } from './dom.js';
import { graphOf } from './graph.js';
import { inWords, resolved } from './schema.js';
import { agents, ask } from './server.js';
import { startForm } from './start.js';
import { json } from './values.js';

/** All agents. */
export async function agentsView() {
  const found = await agents();
  return {
    title: 'Agents',
    node: el(
      'div',
      {},
      el('h1', {}, 'Agents'),
      el(
        'ul',
        { class: 'cards' },
        found.map(({ agent_id: id, metadata }) =>
          el(
            'li',
            {},
            el(
              'a',
              { class: 'card', href: `#/agents/${id}` },
              el('span', { class: 'name' }, metadata.ref.name),
              el('span', { class: 'version' }, `v${metadata.ref.version}`),
              el('span', { class: 'about' }, metadata.description || 'No description'),
            ),
          ),
        ),
      ),
    ),
  };
}

/** One agent. `what` may say a thread to run on, or a run to do again. */
export async function agentView([id, what, which]) {
  const [descriptor, creation] = await Promise.all([
    ask('GET', `agents/${id}/descriptor`),
    what === 'again' ? ask('GET', `page/data/runs/${which}`) : null,
  ]);
  const { metadata, specs } = descriptor;
  const drawing = el('div', { class: 'drawing' }, el('p', { class: 'hint' }, 'Drawing…'));
  graphOf(id)
    .catch((error) => el('p', { class: 'empty' }, error.message))
    .then((graph) => drawing.replaceChildren(graph));
  const given = {
    thread: what === 'thread' ? which : (creation?.has_thread && creation.run.thread_id) || undefined,
    creation: creation?.run.creation,
  };
  return {
    title: metadata.ref.name,
    node: el(
      'div',
      {},
      el(
        'header',
        { class: 'title' },
        el('h1', {}, metadata.ref.name),
        el('p', { class: 'facts' }, `v${metadata.ref.version}`, ' · ', shortId(id), ' · ', el('a', { href: `#/runs/of/${id}` }, 'its runs')),
        metadata.description && el('p', { class: 'about' }, metadata.description),
      ),
      el(
        'div',
        { class: 'columns' },
        el('section', { class: 'panel' }, el('h2', {}, 'Start a run'), startForm({ agent_id: id }, specs, given)),
        el(
          'div',
          { class: 'stack' },
          el('section', { class: 'panel' }, el('h2', {}, 'Graph'), drawing),
          el(
            'section',
            { class: 'panel' },
            el('h2', {}, 'Takes, gives, asks'),
            described('Takes', specs.input),
            described('Gives', specs.output),
            ...(specs.interrupts ?? []).map((each) => asked(each)),
            specs.interrupts?.length ? null : el('p', { class: 'hint' }, 'It asks nothing.'),
            folded('All that it says of itself, as JSON', () => json(descriptor)),
          ),
        ),
      ),
    ),
  };
}

function asked(spec) {
  return el(
    'div',
    {},
    el('h3', {}, 'Asks ', el('code', {}, spec.interrupt_type)),
    described('with', spec.interrupt_payload, true),
    described('answered by', spec.resume_payload, true),
  );
}

/** A schema as a list of its fields. */
function described(title, given, inline = false) {
  const { schema } = resolved(given, given);
  const fields = Object.entries(schema.properties ?? {});
  const heading = inline ? el('p', { class: 'facts' }, `${title}: `) : el('h3', {}, title);
  if (!fields.length) {
    const words = Object.keys(given ?? {}).length ? inWords(given, given) : 'anything';
    if (inline) heading.append(words);
    return el('div', {}, heading, !inline && el('p', { class: 'facts' }, words));
  }
  const required = new Set(schema.required);
  return el(
    'div',
    {},
    heading,
    el(
      'dl',
      { class: 'fields' },
      fields.flatMap(([name, each]) => [
        el('dt', {}, el('code', {}, name), required.has(name) && el('span', { class: 'required' }, ' required')),
        el('dd', {}, [inWords(each, given), resolved(each, given).schema.description].filter(Boolean).join(' · ')),
      ]),
    ),
  );
}
