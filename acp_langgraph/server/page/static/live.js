// What changes on the server: looked for every second while somebody looks at the page.

import { ask, Refusal } from './server.js';

const EVERY = 1000; // milliseconds

let query = { limit: 0 };
let tell = () => {};
let seen = '';
let timer = 0;
let round = 0;
const everywhere = [];

/** Tells of every change, whatever is shown. */
export function always(listener) {
  everywhere.push(listener);
}

/** From now on, tells one view of the runs that match, now and whenever something changes. */
export function follow(wanted, listener) {
  query = wanted;
  tell = listener;
  look(true);
}

/** Looks at once: something was done here. */
export function look(afresh = false) {
  if (afresh) seen = '';
  round += 1;
  clearTimeout(timer);
  poll(round);
}

async function poll(mine) {
  const trouble = document.getElementById('trouble');
  try {
    const words = new URLSearchParams({ ...query, seen });
    const state = document.hidden ? null : await ask('GET', `page/data/runs?${words}`);
    if (mine !== round) return; // somebody else asks by now
    trouble.hidden = true;
    if (state) {
      seen = state.version;
      for (const each of [...everywhere, tell]) each(state);
    }
  } catch (error) {
    if (mine !== round) return;
    const gone = !(error instanceof Refusal);
    trouble.textContent = gone
      ? 'The server does not answer. This page goes on as soon as it does.'
      : `The server said: ${error.message}`;
    trouble.hidden = false;
  }
  timer = setTimeout(() => poll(mine), EVERY);
}

document.addEventListener('visibilitychange', () => document.hidden || look());
