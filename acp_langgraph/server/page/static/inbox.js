// The inbox: all runs that ask, each with the form of its answer.

import { answerForm, questionsKey } from './answers.js';
import { el, say, shortId, since } from './dom.js';
import { follow } from './live.js';
import { agentName, ask } from './server.js';

const MOST = 30; // questions that are shown at once

/** The view of what is asked, over all agents. */
export async function inboxView() {
  const cards = new Map(); // by run; one that still asks the same is left alone, and what was typed in it
  const list = el('div', { class: 'stack' });
  const note = el('p', { class: 'empty', hidden: true });
  const title = el('h1', {}, 'Inbox');
  let latest = null;

  const cardOf = async (row) => {
    const found = await ask('GET', `page/data/runs/${row.run_id}`);
    if (found.run.status !== 'interrupted') return null;
    const key = questionsKey(found);
    const known = cards.get(row.run_id);
    if (known?.key === key) return { ...known, stamp: row.updated_at };
    const name = await agentName(row.agent_id);
    const node = el(
      'article',
      { class: 'panel asks', 'aria-label': `${name} asks` },
      el(
        'header',
        { class: 'heading-row' },
        el('h2', {}, `${name} asks`),
        el('p', { class: 'facts' }, since(row.updated_at / 1000), ' · ', el('a', { href: `#/runs/${row.run_id}` }, 'run ', shortId(row.run_id))),
      ),
      answerForm(found),
    );
    return { node, key, stamp: row.updated_at };
  };

  const show = async (state) => {
    latest = state;
    const made = await Promise.all(
      state.runs.map(async (row) => {
        const known = cards.get(row.run_id);
        if (known?.stamp === row.updated_at) return [row.run_id, known];
        return [row.run_id, await cardOf(row).catch(() => null)];
      }),
    );
    if (latest !== state) return; // there is something newer
    const asking = new Map(made.filter(([, card]) => card).reverse()); // who waits longest is first
    for (const [id, card] of cards) {
      if (asking.get(id)?.node === card.node) continue;
      // Whoever answered stands in what goes away, and is taken to where the next question is.
      const hadFocus = card.node.contains(document.activeElement);
      card.node.remove();
      cards.delete(id);
      if (hadFocus) title.focus();
    }
    for (const [id, card] of asking) {
      if (cards.size && !cards.has(id)) say('A further run asks something');
      cards.set(id, card);
      if (!card.node.isConnected) list.append(card.node);
    }
    const all = state.counts.interrupted ?? 0;
    note.hidden = cards.size > 0 && all <= cards.size;
    note.textContent = cards.size
      ? `${all - cards.size} more wait; they come as these are answered.`
      : 'Nobody asks anything. What a run wants to know is asked here.';
  };
  title.tabIndex = -1;
  return {
    title: 'Inbox',
    node: el('div', { class: 'narrow' }, title, list, note),
    shown: () => follow({ status: 'interrupted', limit: MOST }, show),
  };
}
