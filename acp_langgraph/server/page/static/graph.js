// The graph of an agent: laid out by the server, drawn here.

import { copier, el, folded, svg } from './dom.js';
import { ask } from './server.js';

const ENDS = { __start__: 'start', __end__: 'end' };

/** A drawing of an agent's graph, with its edges in words. */
export async function graphOf(agentId) {
  const found = await ask('GET', `page/data/agents/${agentId}/graph`);
  if (found.problem) return el('p', { class: 'empty' }, found.problem);
  const names = new Map(found.nodes.map((each) => [each.id, ENDS[each.id] ?? each.name]));
  return el(
    'div',
    { class: 'graph' },
    el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Drawing' }, drawn(found, names)),
    el(
      'div',
      { class: 'actions' },
      folded(`${found.edges.length} edges in words`, () =>
        el('ul', {}, found.edges.map((each) => el('li', {}, inWords(each, names)))),
      ),
      copier('Copy as Mermaid', () => found.mermaid),
    ),
  );
}

function inWords(edge, names) {
  const how = [edge.conditional && 'if chosen', edge.label].filter(Boolean).join(': ');
  return `${names.get(edge.source)} to ${names.get(edge.target)}${how ? ` (${how})` : ''}`;
}

function drawn(found, names) {
  const arrow = svg(
    'marker',
    { id: 'arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' },
    svg('path', { d: 'M0 0.5 L7.5 4 L0 7.5 z' }),
  );
  return svg(
    'svg',
    {
      viewBox: `0 0 ${found.width} ${found.height}`,
      width: found.width,
      height: found.height,
      role: 'img',
      'aria-label': `Graph of ${found.nodes.length} nodes and ${found.edges.length} edges`,
    },
    svg('defs', {}, arrow),
    found.edges.map((each) =>
      svg('path', {
        class: each.conditional ? 'edge conditional' : 'edge',
        d: curve(each.points),
        'marker-end': 'url(#arrow)',
      }),
    ),
    found.nodes.map((each) =>
      svg(
        'g',
        { class: each.id in ENDS ? 'node outer' : 'node' },
        svg('title', {}, each.id),
        svg('rect', {
          x: each.x - each.width / 2,
          y: each.y - each.height / 2,
          width: each.width,
          height: each.height,
          rx: each.id in ENDS ? each.height / 2 : 8,
        }),
        svg('text', { x: each.x, y: each.y }, names.get(each.id)),
      ),
    ),
    found.edges
      .filter((each) => each.label)
      .map((each) => svg('text', { class: 'label', x: each.at[0], y: each.at[1] }, each.label)),
  );
}

function curve([first, ...rest]) {
  return `M${first.join(' ')} C${rest.map((point) => point.join(' ')).join(' ')}`;
}
