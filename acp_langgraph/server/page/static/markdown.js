// The little Markdown that descriptions are written in, made of elements: headings, lists, code, bold.
//
// There are no links and no images: a page that shows what agents write asks no other host for anything.

import { el } from './dom.js';

const LONGEST = 20000; // characters

/** A text in Markdown, readable. */
export function markdown(text) {
  const node = el('div', { class: 'prose' });
  const lines = text.slice(0, LONGEST).split('\n');
  let paragraph = [];
  let list = null;
  const close = () => {
    if (paragraph.length) node.append(el('p', {}, inline(paragraph.join('\n'))));
    paragraph = [];
    list = null;
  };
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    const [, hashes, heading] = /^(#{1,4})\s+(.+)$/.exec(line) ?? [];
    const [, , item] = /^\s*([-*]|\d+[.)])\s+(.+)$/.exec(line) ?? [];
    if (/^\s*```/.test(line)) {
      const end = lines.findIndex((each, later) => later > at && /^\s*```/.test(each));
      const last = end < 0 ? lines.length : end;
      close();
      node.append(el('pre', {}, el('code', {}, lines.slice(at + 1, last).join('\n'))));
      at = last;
    } else if (hashes) {
      close();
      node.append(el('p', { class: 'heading' }, inline(heading)));
    } else if (item) {
      if (!list) {
        close();
        list = el('ul', {});
        node.append(list);
      }
      list.append(el('li', {}, inline(item)));
    } else if (line.trim()) {
      if (list) close();
      paragraph.push(line);
    } else close();
  }
  close();
  return node;
}

function inline(text) {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).map((part) => {
    if (part.length > 2 && part.startsWith('`')) return el('code', {}, part.slice(1, -1));
    if (part.length > 4 && part.startsWith('**')) return el('strong', {}, part.slice(2, -2));
    return part;
  });
}
