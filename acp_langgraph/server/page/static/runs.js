// The list of runs, live; beside it one run, if one is chosen.

import { badge, choices, el, shortId, since, statusWord } from './dom.js';
import { follow } from './live.js';
import { runView } from './run.js';
import { agents } from './server.js';

const MOST = 1000;
const STATUSES = ['pending', 'interrupted', 'success', 'error', 'timeout'];

// Kept while this page is open, so that whoever goes from run to run has the list as it was.
const filter = { agent_id: '', status: '' };
let master = null;

/** All runs; `of AGENT` shows an agent's, an id opens a run beside the list. */
export async function runsView([first, second]) {
  const chosen = first && first !== 'of' ? first : null;
  if (first === 'of') {
    filter.agent_id = second ?? '';
    master = null;
  }
  const known = await agents();
  const detail = chosen ? await runView(chosen) : null;
  master ??= masterOf(known);
  master.choose(chosen);
  const node = el(
    'div',
    { class: chosen ? 'split chosen' : 'split' },
    master.node,
    el(
      'section',
      { class: 'detail', 'aria-label': 'Run' },
      detail?.node ?? el('p', { class: 'empty' }, 'Choose a run to see what it does.'),
    ),
  );
  return {
    title: detail?.title ?? 'Runs',
    node,
    shown: () => master.follow(detail),
    leave: () => detail?.leave(),
  };
}

/** The list with its filters. */
function masterOf(known) {
  const list = runList(new Map(known.map((each) => [each.agent_id, each.metadata.ref.name])));
  const heading = el('h1', {}, 'Runs');
  let detail = null;
  let scrolled = 0;
  list.node.addEventListener('scroll', () => {
    scrolled = list.node.scrollTop;
  });
  const refollow = () => {
    const given = Object.entries(filter).filter(([, value]) => value);
    follow({ ...Object.fromEntries(given), limit: MOST }, (state) => {
      list.show(state);
      detail?.look();
    });
  };
  const agentPicker = el(
    'select',
    {
      'aria-label': 'Agent',
      onchange: () => {
        filter.agent_id = agentPicker.value;
        refollow();
      },
    },
    el('option', { value: '' }, 'all agents'),
    known.map((each) =>
      el('option', { value: each.agent_id, selected: each.agent_id === filter.agent_id }, each.metadata.ref.name),
    ),
  );
  const options = [['', 'all'], ...STATUSES.map((each) => [each, statusWord(each)])];
  const statusPicker = choices('Status', options, filter.status, (status) => {
    filter.status = status;
    refollow();
  });
  return {
    node: el(
      'section',
      { class: 'master', 'aria-label': 'List of runs' },
      heading,
      el('div', { class: 'filters' }, agentPicker, statusPicker),
      list.node,
    ),
    choose: (runId) => list.choose(runId),
    follow: (shown) => {
      detail = shown;
      const left = scrolled;
      list.node.scrollTop = left; // it was taken out of the page, and put in again
      refollow();
    },
  };
}

/** The rows of the list; only what changed is made anew. */
export function runList(names, empty = 'No runs yet. Choose an agent and start one.') {
  const rows = new Map();
  let chosen = null;
  const list = el('ul', { class: 'runs' });
  const note = el('p', { class: 'empty' }, empty);
  note.hidden = true;
  const show = ({ runs, counts }) => {
    const found = new Set();
    let before = null;
    for (const run of runs) {
      found.add(run.run_id);
      let row = rows.get(run.run_id);
      if (row?.stamp !== run.updated_at) {
        const node = rowOf(run, names);
        if (run.run_id === chosen) mark(node, true);
        row?.node.replaceWith(node);
        row = { node, stamp: run.updated_at };
        rows.set(run.run_id, row);
      }
      const place = before ? before.nextSibling : list.firstChild;
      if (row.node !== place) list.insertBefore(row.node, place);
      before = row.node;
    }
    for (const [id, row] of rows) {
      if (found.has(id)) continue;
      row.node.remove();
      rows.delete(id);
    }
    const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
    note.hidden = runs.length > 0 && runs.length < MOST;
    if (runs.length >= MOST) note.textContent = `These are the newest ${MOST}; a filter shows others.`;
    else note.textContent = all ? 'No runs like that.' : empty;
  };
  const choose = (runId) => {
    if (rows.has(chosen)) mark(rows.get(chosen).node, false);
    if (rows.has(runId)) mark(rows.get(runId).node, true);
    chosen = runId;
  };
  return { node: el('div', {}, list, note), show, choose };
}

function mark(row, isChosen) {
  if (isChosen) row.firstChild.setAttribute('aria-current', 'true');
  else row.firstChild.removeAttribute('aria-current');
}

function rowOf(run, names) {
  const name = names.get(run.agent_id) ?? 'an agent that is not served';
  return el(
    'li',
    {},
    el(
      'a',
      { class: 'run', href: `#/runs/${run.run_id}` },
      el('span', { class: 'name' }, name),
      badge(run.status),
      el('span', { class: 'facts' }, shortId(run.run_id), run.stateless ? '' : ' on a thread'),
      since(run.updated_at / 1000),
    ),
  );
}
