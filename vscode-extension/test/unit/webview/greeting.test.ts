// @vitest-environment happy-dom
/** What the page does before its program is read. */

import { afterEach, expect, test, vi } from 'vitest';

import type { ToHost, ToWebview } from '../../../shared/protocol';
import { NO_FILTERS } from '../../../shared/protocol';
import { EARLY, greet } from '../../../webview/greeting';
import { Telemetry } from '../../../webview/telemetry';
import { HELLO, settled } from './host';

const KEPT = { view: { range: { name: '30d' }, filters: NO_FILTERS }, slice: 'week', sort: { column: 'cost', descending: true }, offset: 40, all: false };

function editorWith(kept: unknown) {
  const posted: ToHost[] = [];
  return { posted, editor: { postMessage: (message: ToHost) => posted.push(message), getState: () => kept, setState: () => undefined } };
}

const arrives = (data: ToWebview): void => { window.dispatchEvent(new MessageEvent('message', { data })); };
const reading = (done: number): ToWebview => ({ kind: 'told', told: { type: 'reading', done } });

afterEach(() => { vi.restoreAllMocks(); });

test('hello is said at once, and asks for what was looked at last', () => {
  const { editor, posted } = editorWith(KEPT);
  greet(editor);
  expect(posted).toEqual([{ kind: 'asked', id: EARLY, question: {
    type: 'hello', looking: { view: KEPT.view, slice: 'week' }, rows: { sort: KEPT.sort, offset: 40, limit: 20 },
  } }]);
});

test('what comes before the program is kept for it, in order; what comes later goes to it', () => {
  const { deliver } = greet(editorWith(null).editor);
  const heard: ToWebview[] = [];
  arrives(reading(0.1));
  arrives(reading(0.2));
  deliver((message) => heard.push(message));
  arrives(reading(0.3));
  expect(heard).toEqual([reading(0.1), reading(0.2), reading(0.3)]);
});

test.each([['before', 0], ['after', 1]])('the program takes an answer that came %s it, and does not say hello again', async (_, late) => {
  const { editor, posted } = editorWith(null);
  const greeting = greet(editor);
  const answer = { kind: 'answered', id: EARLY, answer: HELLO } as const;
  if (!late) arrives(answer);
  const telemetry = new Telemetry(greeting.editor);
  const greeted = telemetry.start(EARLY);
  greeting.deliver((message) => { telemetry.receive(message); });
  if (late) arrives(answer);
  await greeted;
  expect(telemetry.snapshot().hello.data).toEqual(HELLO);
  expect(posted.map((message) => message.question.type)).toEqual(['hello', 'overview']);
});

test('a hello that was refused is said again by whoever tries again', async () => {
  const { editor, posted } = editorWith(null);
  const greeting = greet(editor);
  const telemetry = new Telemetry(greeting.editor);
  const greeted = telemetry.start(EARLY);
  greeting.deliver((message) => { telemetry.receive(message); });
  arrives({ kind: 'refused', id: EARLY, problem: 'no folder' });
  await greeted;
  expect(telemetry.snapshot().hello.problem).toBe('no folder');
  void telemetry.refresh();
  await settled();
  expect(posted.map((message) => message.question.type)).toEqual(['hello', 'hello']);
  expect(new Set(posted.map(({ id }) => id)).size).toBe(2);
});
