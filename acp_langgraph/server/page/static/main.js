// Which view is shown: the part of the URL after `#` says it, and holds nothing but names and ids.

import { agentsView, agentView } from './agents.js';
import { el } from './dom.js';
import { inboxView } from './inbox.js';
import { always, follow } from './live.js';
import { runsView } from './runs.js';
import { threadsView, threadView } from './threads.js';

const main = document.getElementById('main');
const waiting = document.getElementById('waiting');

let leave = () => {};
let turn = 0;

function viewOf([name, ...rest]) {
  switch (name) {
    case 'agents':
      return rest[0] ? agentView(rest) : agentsView();
    case 'runs':
      return runsView(rest);
    case 'inbox':
      return inboxView();
    case 'threads':
      return rest[0] ? threadView(rest) : threadsView();
    default:
      return agentsView();
  }
}

async function show(isFirst = false) {
  turn += 1;
  const mine = turn;
  const path = location.hash.slice(2).split('/').map(decodeURIComponent);
  for (const link of document.querySelectorAll('[data-view]')) {
    if (link.dataset.view === (path[0] || 'agents')) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  follow({ limit: 0 }, () => {});
  let view;
  try {
    view = await viewOf(path);
  } catch (error) {
    const words = error.status === 404 ? 'That is not there (any more).' : error.message;
    view = {
      title: 'Not shown',
      node: el('div', { class: 'narrow' }, el('h1', {}, 'Not shown'), el('p', { class: 'empty' }, words)),
    };
  }
  if (mine !== turn) {
    view.leave?.(); // somebody has gone on
    return;
  }
  leave();
  leave = view.leave ?? (() => {});
  main.replaceChildren(view.node);
  document.title = `${view.title} · acp-langgraph`;
  view.shown?.();
  if (isFirst) return;
  window.scrollTo(0, 0);
  const heading = main.querySelector('.detail h1') ?? main.querySelector('h1');
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

always(({ counts }) => {
  const asking = counts.interrupted ?? 0;
  waiting.textContent = asking > 99 ? '99+' : String(asking);
  waiting.hidden = !asking;
  waiting.setAttribute('aria-label', asking === 1 ? '1 run asks' : `${asking} runs ask`);
});

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener('hashchange', () => show());
show(true);
