/** The two ends of the protocol: every question resolves or rejects, whatever happens to its answerer. */

import type { Answer, Answers, Question, ToHost, ToWebview, Told } from './protocol';

export type Answerers = { readonly [Q in Question as Q['type']]: (question: Q) => Promise<Answers[Q['type']]> };

/** The host's end: answers what arrives, and a refusal where an answerer throws. */
export class Answering {
  constructor(
    private readonly answerers: Answerers,
    private readonly post: (message: ToWebview) => unknown,
    /** What is said of an error; the webview shows it. */
    private readonly wording: (error: unknown) => string = wordingOf,
  ) {}

  async receive(message: ToHost): Promise<void> {
    // A webview is not trusted to ask what the protocol has.
    if (message?.kind !== 'asked' || typeof message.id !== 'number') return;
    const { id, question } = message;
    try {
      this.post({ kind: 'answered', id, answer: await this.answer(question) });
    } catch (error) {
      this.post({ kind: 'refused', id, problem: this.wording(error) });
    }
  }

  tell(told: Told): void {
    this.post({ kind: 'told', told });
  }

  private answer(question: Question): Promise<unknown> {
    const answerer = Object.hasOwn(this.answerers, question?.type) ? this.answerers[question.type] : undefined;
    if (!answerer) throw new Error(`nothing answers '${String(question?.type)}'`);
    return (answerer as (question: Question) => Promise<unknown>)(question);
  }
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/** The webview's end: asks, and hears what is told. */
export class Asking {
  private readonly waiting = new Map<number, Waiting>();
  private last = 0;

  constructor(
    private readonly post: (message: ToHost) => unknown,
    private readonly told: (told: Told) => void,
  ) {}

  ask<Q extends Question>(question: Q): Promise<Answer<Q>> {
    const id = ++this.last;
    const answer = this.answerTo<Q>(id);
    try {
      this.post({ kind: 'asked', id, question });
    } catch (error) {
      this.take(id)?.reject(error instanceof Error ? error : new Error(String(error)));
    }
    return answer;
  }

  /** The answer to a question that was posted before this end was there, under an id below 1. */
  answerTo<Q extends Question>(id: number): Promise<Answer<Q>> {
    return new Promise<Answer<Q>>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject });
    });
  }

  receive(message: ToWebview): void {
    switch (message?.kind) {
      case 'told':
        this.told(message.told);
        return;
      case 'answered':
        this.take(message.id)?.resolve(message.answer);
        return;
      case 'refused':
        this.take(message.id)?.reject(new Error(message.problem));
        return;
      default:
        // Other messages of the page are not for us.
        return;
    }
  }

  /** Reject whatever still waits; for when the other end is gone. */
  close(): void {
    for (const { reject } of this.waiting.values()) reject(new Error('the panel was closed'));
    this.waiting.clear();
  }

  private take(id: number): Waiting | undefined {
    const found = this.waiting.get(id);
    this.waiting.delete(id);
    return found;
  }
}

function wordingOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
