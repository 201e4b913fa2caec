import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Answerers } from '../../../shared/conversation';
import { Answering, Asking } from '../../../shared/conversation';
import type { HelloQuestion, Question, Told, ToHost, ToWebview } from '../../../shared/protocol';

const HELLO: HelloQuestion = { type: 'hello', looking: null, rows: null };

/** Answerers that give their question back, and throw where its page is odd. */
function echoing(): Answerers {
  const echo = async (question: Question): Promise<never> => {
    if (question.type === 'busy' && question.busy) throw new Error('refused');
    return question as never;
  };
  const names: Question['type'][] = [
    'hello', 'overview', 'page', 'detail', 'openCode', 'openRecord', 'export', 'clear', 'refresh', 'saveSettings',
    'chooseFolder', 'openLink', 'busy',
  ];
  return Object.fromEntries(names.map((name) => [name, echo])) as unknown as Answerers;
}

/** Both ends, joined by two queues that somebody else empties. */
function joined(answerers = echoing()) {
  const toHost: ToHost[] = [];
  const toWebview: ToWebview[] = [];
  const told: Told[] = [];
  const asking = new Asking((message) => toHost.push(message), (one) => told.push(one));
  const answering = new Answering(answerers, (message) => toWebview.push(message));
  return { toHost, toWebview, told, asking, answering };
}

async function outcome(promise: Promise<unknown>): Promise<string> {
  return promise.then((value) => `answered ${JSON.stringify(value)}`, (error: Error) => `refused ${error.message}`);
}

describe('the conversation', () => {
  test('gives each question its own answer or refusal, in whatever order messages come', async () => {
    await fc.assert(fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 20 }), fc.infiniteStream(fc.nat()), fc.infiniteStream(fc.nat()),
      async (busy, hostOrder, webviewOrder) => {
        const { asking, answering, toHost, toWebview } = joined();
        const outcomes = busy.map((one) => outcome(asking.ask({ type: 'busy', busy: one })));
        while (toHost.length > 0) {
          const [message] = toHost.splice((hostOrder.next().value ?? 0) % toHost.length, 1);
          if (message) await answering.receive(message);
        }
        while (toWebview.length > 0) {
          const [message] = toWebview.splice((webviewOrder.next().value ?? 0) % toWebview.length, 1);
          if (message) asking.receive(message);
        }
        const expected = busy.map((one) => (one ? 'refused refused' : 'answered {"type":"busy","busy":false}'));
        expect(await Promise.all(outcomes)).toEqual(expected);
      },
    ));
  });

  test('an answerer may throw at once, reject, or throw what is no error', async () => {
    const answerers = echoing();
    const odd = {
      ...answerers,
      hello: () => { throw new Error('at once'); },
      refresh: () => Promise.reject(new Error('later')),
      clear: async () => { throw 'a text'; },
    } as unknown as Answerers;
    const { asking, answering, toHost, toWebview } = joined(odd);
    const outcomes = [asking.ask(HELLO), asking.ask({ type: 'refresh' }), asking.ask({ type: 'clear' })].map(outcome);
    for (const message of toHost) await answering.receive(message);
    for (const message of toWebview) asking.receive(message);
    expect(await Promise.all(outcomes)).toEqual(['refused at once', 'refused later', 'refused a text']);
  });

  test('a question that nothing answers is refused, whatever it is called', async () => {
    await fc.assert(fc.asyncProperty(fc.string(), async (type) => {
      fc.pre(!(type in echoing()));
      const { answering, toWebview } = joined();
      await answering.receive({ kind: 'asked', id: 1, question: { type } as unknown as Question });
      expect(toWebview).toEqual([{ kind: 'refused', id: 1, problem: `nothing answers '${type}'` }]);
    }));
  });

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('what every object has is no answerer: %s', async (type) => {
    const { answering, toWebview } = joined();
    await answering.receive({ kind: 'asked', id: 1, question: { type } as unknown as Question });
    expect(toWebview[0]?.kind).toBe('refused');
  });

  test('what is no message is passed over by both ends', async () => {
    await fc.assert(fc.asyncProperty(fc.anything(), async (anything) => {
      fc.pre(typeof anything !== 'object' || anything === null || !('kind' in anything));
      const { asking, answering, toWebview, told } = joined();
      await answering.receive(anything as ToHost);
      asking.receive(anything as ToWebview);
      expect([toWebview, told]).toEqual([[], []]);
    }));
  });

  test('a message without a question is refused, not lost', async () => {
    const { answering, toWebview } = joined();
    await answering.receive({ kind: 'asked', id: 7 } as unknown as ToHost);
    expect(toWebview).toEqual([{ kind: 'refused', id: 7, problem: "nothing answers 'undefined'" }]);
  });

  test('an answer that nobody waits for, or comes twice, does nothing', async () => {
    const { asking, toHost } = joined();
    const answer = outcome(asking.ask({ type: 'refresh' }));
    const id = toHost[0]?.id ?? 0;
    asking.receive({ kind: 'answered', id: id + 1, answer: 'of another' });
    asking.receive({ kind: 'answered', id, answer: 'first' });
    asking.receive({ kind: 'refused', id, problem: 'second' });
    expect(await answer).toBe('answered "first"');
  });

  test('a webview that cannot post is told so', async () => {
    const asking = new Asking(() => { throw new Error('gone'); }, () => undefined);
    await expect(asking.ask(HELLO)).rejects.toThrow('gone');
  });

  test('a host whose answer cannot be posted posts a refusal', async () => {
    const posted: ToWebview[] = [];
    const answering = new Answering(echoing(), (message) => {
      if (message.kind === 'answered') throw new Error('cannot be cloned');
      posted.push(message);
    });
    await answering.receive({ kind: 'asked', id: 3, question: { type: 'refresh' } });
    expect(posted).toEqual([{ kind: 'refused', id: 3, problem: 'cannot be cloned' }]);
  });

  test('closing rejects all that still wait', async () => {
    const { asking } = joined();
    const outcomes = [asking.ask(HELLO), asking.ask({ type: 'refresh' })].map(outcome);
    asking.close();
    expect(await Promise.all(outcomes)).toEqual(['refused the panel was closed', 'refused the panel was closed']);
  });

  test('what is told arrives', () => {
    const { asking, answering, toWebview, told } = joined();
    answering.tell({ type: 'changed', revision: 4 });
    for (const message of toWebview) asking.receive(message);
    expect(told).toEqual([{ type: 'changed', revision: 4 }]);
  });
});
