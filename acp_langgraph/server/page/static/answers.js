// What a run asks, and the form of the answer.
//
// All answers are checked by the server before any is sent: a graph that was given a wrong one may be lost.
// What was typed stays, whatever becomes of it.

import { decisionsOn } from './decisions.js';
import { button, choices, el, guarded, say } from './dom.js';
import { field, formOf, jsonBox, textBox, Unreadable } from './forms.js';
import { look } from './live.js';
import { kindOf, resolved } from './schema.js';
import { ask, pathOf } from './server.js';
import { readable } from './values.js';

const MOST_BUTTONS = 6;

/** What the questions of a run are recognised by: the same ones keep their form. */
export function questionsKey(found) {
  return JSON.stringify([found.run.run_id, found.questions]);
}

/** The questions of a run with a form that answers them. */
export function answerForm(found) {
  const { run, questions } = found;
  if (!questions.length) return el('p', { class: 'hint' }, 'Its agent is not served, so it cannot be answered.');
  const fault = el('p', { class: 'fault', role: 'alert', hidden: true });
  const parts = questions.map((each, at) =>
    part(each, questions.length > 1 ? `Question ${at + 1} of ${questions.length}` : '', (answer) =>
      questions.length > 1 ? null : send([answer]),
    ),
  );
  const send = async (given) => {
    fault.hidden = true;
    for (const each of parts) each.clear();
    try {
      const answers = given ?? parts.map((each) => each.read());
      const byId = Object.fromEntries(questions.map(({ id }, at) => [id, answers[at] ?? null]));
      const { faults } = await ask('POST', `page/data/runs/${run.run_id}/check`, { answers: byId });
      for (const { at, rule } of faults) {
        parts[questions.findIndex(({ id }) => id === at[0])].mark(at.slice(1), rule);
      }
      if (faults.length) throw new Unreadable('Nothing was sent: see what is marked.');
      const body = questions.length > 1 ? byId : (answers[0] ?? null);
      await ask('POST', pathOf({ ...run, stateless: found.stateless }), body);
      say('The answer was sent');
      look();
    } catch (error) {
      fault.textContent = error instanceof Unreadable && !given ? `Not sent: ${error.message}` : error.message;
      fault.hidden = false;
      form.querySelector('[aria-invalid=true]')?.focus();
    }
  };
  const isDirect = parts.length === 1 && parts[0].isDirect;
  const go = el('button', { class: 'primary', type: 'submit' }, 'Send answer');
  const form = el(
    'form',
    {
      class: 'answer',
      novalidate: true,
      'aria-label': 'Your answer',
      onsubmit: (event) => {
        event.preventDefault();
        guarded(go, () => send());
      },
      onkeydown: (event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      },
    },
    parts.map((each) => each.node),
    fault,
    el('div', { class: 'actions' }, !isDirect && go, parts.length === 1 && parts[0].picker),
  );
  if (isDirect) parts[0].onform = () => form.querySelector('.actions').prepend(go);
  return form;
}

/** One question. */
function part(question, title, send) {
  const made = { isDirect: false, onform: () => {} };
  const { shown, form } = formFor(question, send, made);
  const room = el('div', {}, form.node);
  let current = form;
  const show = (kind) => {
    if (kind === 'own') {
      current = form;
    } else {
      let value;
      try {
        value = form.read();
      } catch {
        value = undefined;
      }
      current = jsonBox({ schema: {}, name: '', labelled: 'Answer as JSON', value, required: true });
      made.onform();
    }
    room.replaceChildren(current.node);
  };
  const kinds = [
    ['own', form.word ?? 'Form'],
    ['json', 'JSON'],
  ];
  made.picker = question.id && choices('Answer as', kinds, 'own', show);
  made.node = el(
    'section',
    { class: 'question' },
    title && el('div', { class: 'heading-row' }, el('h3', {}, title), made.picker),
    shown,
    room,
  );
  made.read = () => {
    const answer = current.read();
    if (answer === undefined && question.id) {
      current.mark([], 'is missing');
      throw new Unreadable('an answer is missing');
    }
    return answer;
  };
  made.mark = (path, rule) => current.mark(path, rule);
  made.clear = () => current.clear();
  return made;
}

/** What is shown of a question, and the control that fits it. */
function formFor(question, send, made) {
  const shown = el('div', { class: 'asked' }, readable(question.value));
  if (question.actions) return { shown: null, form: decisionsOn(question) };
  if (!question.id) {
    made.isDirect = true;
    const nodes = (question.value?.next ?? []).join(', ');
    const words = el('p', {}, `It stopped before or after a step, and goes on with ${nodes || 'the next'}.`);
    return { shown: words, form: pressed([['Go on', null]], send) };
  }
  if (!question.schema) return { shown, form: anything() };
  const { schema } = resolved(question.schema, question.schema);
  const kind = kindOf(schema, question.schema);
  if (kind === 'boolean') {
    made.isDirect = true;
    return { shown, form: pressed([['Yes', true], ['No', false]], send) };
  }
  if (kind === 'choice' && schema.enum.length <= MOST_BUTTONS) {
    made.isDirect = true;
    return { shown, form: pressed(schema.enum.map((each) => [String(each), each]), send) };
  }
  return { shown, form: formOf(question.schema) };
}

/** Buttons of which each is an answer. With other questions beside it, one is pressed and stays so. */
function pressed(options, send) {
  let answer;
  const fault = el('p', { class: 'fault', hidden: true });
  const buttons = options.map(([word, value], at) =>
    button(word, async () => {
      answer = value;
      for (const each of buttons) each.setAttribute('aria-pressed', String(each === buttons[at]));
      await send(value);
    }, at ? {} : { class: 'primary' }),
  );
  return {
    node: el('div', {}, el('div', { class: 'actions' }, buttons), fault),
    word: 'Buttons',
    read: () => answer,
    mark: (_, rule) => {
      fault.textContent = rule;
      fault.hidden = false;
    },
    clear: () => {
      fault.hidden = true;
    },
  };
}

/** For a question of which nothing is known: a text. */
function anything() {
  const box = textBox('', { rows: 2 });
  const made = field({ schema: {}, name: 'Answer', required: true }, box, () => box.value || undefined);
  return { ...made, word: 'Text' };
}
