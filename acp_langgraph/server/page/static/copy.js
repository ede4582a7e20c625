// A run as somebody would start it elsewhere: in a shell, or in Python with this package. Never with the key.

import { hasKey, urlOf } from './server.js';

/** @typedef {{agent_id: string, input?: any, config?: any}} Body */

/** For a shell. `thread` is an id, `new`, or empty for a run of its own. */
export function asCurl(body, thread) {
  const isNew = thread === 'new';
  const base = urlOf('.').replace(/\/$/, '');
  const sent = JSON.stringify(isNew ? { ...body, if_not_exists: 'create' } : body, null, 2);
  const at = thread ? `threads/${isNew ? freshThread() : thread}/runs/wait` : 'runs/wait';
  const lines = [`curl -s "${base}/${at}"`, "-H 'content-type: application/json'"];
  if (hasKey()) lines.push('-H "x-api-key: $ACP_LANGGRAPH_API_KEY"');
  lines.push(`-d '${sent.replaceAll("'", "'\\''")}'`);
  return lines.join(' \\\n  ');
}

/** For Python. */
export function asPython(body, thread) {
  const base = JSON.stringify(urlOf('.').replace(/\/$/, ''));
  const kind = thread ? 'RunCreateStateful' : 'RunCreateStateless';
  const fields = Object.entries({ ...body, ...(thread === 'new' && { if_not_exists: 'create' }) });
  const given = fields.map(([name, value]) => `    ${name}=${literal(value, 4)},`).join('\n');
  const names = ['ACPClient', ...(hasKey() ? ['ApiClientConfiguration'] : [])].join(', ');
  const server = hasKey()
    ? `ApiClientConfiguration(${base}, api_key=os.environ["ACP_LANGGRAPH_API_KEY"])`
    : base;
  const on = thread ? `"${thread === 'new' ? freshThread() : thread}", ` : '';
  const call = thread
    ? 'create_and_wait_for_thread_run_output'
    : 'create_and_wait_for_stateless_run_output';
  return [
    ...(hasKey() ? ['import os', ''] : []),
    `from acp_langgraph import ${names}`,
    `from acp_langgraph.acp.models import ${kind}`,
    '',
    `run = ${kind}(\n${given}\n)`,
    `with ACPClient(${server}) as client:`,
    `    print(client.${call}(${on}run).output)`,
    '',
  ].join('\n');
}

/** An id for a thread that is not there yet: a UUID of version 4. */
export function freshThread() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (each) => each.toString(16).padStart(2, '0')).join('');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** A JSON value as a Python literal. */
function literal(value, indent) {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value !== 'object') return JSON.stringify(value);
  const isList = Array.isArray(value);
  const inner = ' '.repeat(indent + 4);
  const parts = isList
    ? value.map((each) => literal(each, indent + 4))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each, indent + 4)}`);
  const [open, close] = isList ? '[]' : '{}';
  if (!parts.length) return open + close;
  return `${open}\n${parts.map((each) => `${inner}${each},\n`).join('')}${' '.repeat(indent)}${close}`;
}
