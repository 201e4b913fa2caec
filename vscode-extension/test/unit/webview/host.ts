/** The other end for tests of the page's logic: keeps what is asked, answers when told to. */

import type { Answers, AskedMessage, Hello, Question, Told, ToHost } from '../../../shared/protocol';
import { NO_FILTERS } from '../../../shared/protocol';
import type { Editor } from '../../../webview/telemetry';
import { Telemetry } from '../../../webview/telemetry';
import { makeRows, overviewOf, pageOf, SETTINGS } from '../../harness/records';

export const HELLO: Hello = { settings: SETTINGS, view: { range: { name: '7d' }, filters: NO_FILTERS }, slice: null, locale: 'en', texts: {}, trusted: true, overview: null };
export const ROWS = makeRows(740);

type Type = Question['type'];

export class Host implements Editor {
  readonly asked: AskedMessage[] = [];
  readonly telemetry = new Telemetry(this);
  kept: unknown;

  postMessage(message: ToHost): void {
    this.asked.push(message);
  }
  getState(): unknown {
    return this.kept;
  }
  setState(state: unknown): void {
    this.kept = state;
  }

  /** Questions of this type, oldest first. */
  of<T extends Type>(type: T): (AskedMessage & { question: Extract<Question, { type: T }> })[] {
    return this.asked.filter((message): message is AskedMessage & { question: Extract<Question, { type: T }> } => message.question.type === type);
  }

  /** Answer the newest question of this type, or the one that is given. */
  async answer<T extends Type>(type: T, answer: Answers[T], message = this.of(type).at(-1)): Promise<void> {
    if (!message) throw new Error(`${type} was not asked`);
    this.telemetry.receive({ kind: 'answered', id: message.id, answer });
    await settled();
  }

  async refuse(type: Type, problem: string): Promise<void> {
    const message = this.of(type).at(-1);
    if (!message) throw new Error(`${type} was not asked`);
    this.telemetry.receive({ kind: 'refused', id: message.id, problem });
    await settled();
  }

  async tell(told: Told): Promise<void> {
    this.telemetry.receive({ kind: 'told', told });
    await settled();
  }

  /** Answer the newest overview, as of this revision. */
  async show(revision = 1): Promise<void> {
    const { view, slice, rows } = this.last('overview');
    await this.answer('overview', { ...overviewOf(ROWS, view, slice, revision), page: rows && pageOf(ROWS, view, rows, revision) });
  }

  last<T extends Type>(type: T): Extract<Question, { type: T }> {
    const message = this.of(type).at(-1);
    if (!message) throw new Error(`${type} was not asked`);
    return message.question;
  }
}

/** Promises that wait for each other have run. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

/** A host whose page is shown. */
export async function started(kept?: unknown): Promise<Host> {
  const host = new Host();
  host.kept = kept;
  void host.telemetry.start();
  await host.answer('hello', HELLO);
  await host.show();
  return host;
}
