// Requests to the server that this page came from, and to no other.
//
// The API key is asked for when the server wants one. It is kept in this tab (`sessionStorage`), sent as
// a header, and stands in no URL.

import { el } from './dom.js';

const KEY = 'acp-langgraph-api-key';

/** The server refused something; the message is its own. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The URL of a path of the server, wherever it is mounted. */
export function urlOf(path) {
  return new URL(path, document.baseURI.split('#')[0]).href;
}

export function hasKey() {
  return Boolean(sessionStorage.getItem(KEY));
}

async function request(method, path, body, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { accept: 'application/json', ...options.headers };
    if (key) headers['x-api-key'] = key;
    if (method !== 'GET') headers['content-type'] = 'application/json';
    const answer = await fetch(urlOf(path), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: options.signal,
      credentials: 'omit',
      cache: 'no-store',
    });
    if (answer.ok) return answer;
    const said = await answer.text();
    if (answer.status !== 401) throw new Refusal(answer.status, words(said, answer.status));
    if (sessionStorage.getItem(KEY) === key) await askForKey(Boolean(key));
  }
}

function words(said, status) {
  try {
    const message = JSON.parse(said);
    if (typeof message === 'string') return message;
  } catch {
    // not this server's
  }
  return `the server answered ${status}`;
}

/**
 * Asks the server for something.
 * @returns {Promise<any>} the JSON of its answer; null where there is none
 */
export async function ask(method, path, body, options) {
  const answer = await request(method, path, body, options);
  return answer.status === 204 ? null : answer.json();
}

/** The events of a run from after one on, until the stream ends: `{id, data}`. */
export async function* events(path, after, signal) {
  const headers = { accept: 'text/event-stream', 'last-event-id': String(after) };
  const answer = await request('GET', path, undefined, { headers, signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const event = { id: after, data: null };
        for (const line of block.split('\n')) {
          if (line.startsWith('id: ')) event.id = line.slice(4);
          if (line.startsWith('data: ')) event.data = JSON.parse(line.slice(6));
        }
        if (event.data) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

let asking = null;

/** Asks whoever looks at the page for the API key; once, however many requests want it. */
function askForKey(wrong) {
  asking ??= new Promise((resolve) => {
    const input = el('input', {
      id: 'api-key',
      type: 'password',
      autocomplete: 'off',
      'aria-describedby': 'about-key',
    });
    const dialog = el(
      'dialog',
      { 'aria-labelledby': 'key-title' },
      el(
        'form',
        {
          onsubmit: (event) => {
            event.preventDefault();
            if (!input.value.trim()) return input.focus();
            sessionStorage.setItem(KEY, input.value.trim());
            dialog.remove();
            asking = null;
            return resolve();
          },
        },
        el('h2', { id: 'key-title' }, 'This server wants a key'),
        wrong && el('p', { class: 'fault', role: 'alert' }, 'That key was not taken.'),
        el('label', { for: 'api-key' }, 'API key'),
        input,
        el('p', { class: 'hint', id: 'about-key' }, 'It stays in this tab, until you close it.'),
        el('button', { class: 'primary' }, 'Go on'),
      ),
    );
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
  return asking;
}

/** The path of a run's operations. */
export function pathOf(run) {
  return run.stateless ? `runs/${run.run_id}` : `threads/${run.thread_id}/runs/${run.run_id}`;
}

let known = null;

/** The agents: `{agent_id, metadata}`; asked for once. */
export function agents() {
  known ??= ask('POST', 'agents/search', { limit: 1000 }).catch((error) => {
    known = null;
    throw error;
  });
  return known;
}

/** An agent's name. */
export async function agentName(agentId) {
  const found = (await agents()).find((each) => each.agent_id === agentId);
  return found ? found.metadata.ref.name : `agent ${agentId.slice(0, 8)}, which is not served`;
}
