import { beforeEach, describe, expect, test } from 'vitest';

import type { Answers, Question, Settings, ToWebview } from '../../../shared/protocol';
import { MOST_ROWS, NEWEST_FIRST, NO_FILTERS } from '../../../shared/protocol';
import { Answering } from '../../../shared/conversation';
import type { Host } from '../../../src/answers';
import { answerers } from '../../../src/answers';
import { Feed } from '../../../src/feed';
import { Memory } from '../../../src/memory';
import { asDataset, FakeDataset, ROW } from './dataset';
import { fake, Memento, reset } from './vscode';

beforeEach(reset);

const SETTINGS: Settings = {
  refreshSeconds: 30, retentionDays: 7, chartTheme: 'editor', chartColors: [], folder: '', light: false, includeTests: true,
};
const VIEW = { range: { name: 'all' }, filters: { ...NO_FILTERS, text: 'x' } } as const;
const KEY = { segment: 'llm_calls.00001.jsonl', offset: 12 };

const QUESTIONS: { readonly [Q in Question as Q['type']]: Q } = {
  hello: { type: 'hello', looking: null, rows: { sort: NEWEST_FIRST, offset: 0, limit: 20 } },
  overview: { type: 'overview', view: VIEW, slice: 'week', rows: null },
  page: { type: 'page', view: VIEW, sort: NEWEST_FIRST, offset: 20, limit: 20 },
  detail: { type: 'detail', key: KEY },
  openCode: { type: 'openCode', key: KEY },
  openRecord: { type: 'openRecord', key: KEY },
  export: { type: 'export', view: VIEW, sort: NEWEST_FIRST },
  clear: { type: 'clear' },
  refresh: { type: 'refresh' },
  saveSettings: { type: 'saveSettings', settings: { light: true } },
  chooseFolder: { type: 'chooseFolder', path: '/two' },
  openLink: { type: 'openLink', link: 'guide' },
  busy: { type: 'busy', busy: true },
};

function hosted() {
  const dataset = new FakeDataset('/one');
  const did: unknown[] = [];
  const memory = new Memory(new Memento());
  const feed = new Feed({
    find: async () => ({ folder: { path: '/one', label: 'one' }, choices: [] }),
    make: () => asDataset(dataset),
    readAlerts: async () => ({ state: 'none' }),
    storage: '/storage', now: Date.now, failed: () => undefined,
  });
  const host: Host = {
    feed, memory, settings: () => SETTINGS,
    saveSettings: async (change) => ({ ...SETTINGS, ...change }),
    chooseFolder: async (path) => (did.push(['chooseFolder', path]), null),
    openCode: async (detail) => (did.push(['openCode', detail.row.workflow]), 'searched'),
    openRecord: async (key) => void did.push(['openRecord', key]),
    openLink: async (link) => void did.push(['openLink', link]),
    exportCsv: async (_, view, sort, tests) => (did.push(['export', view, sort, tests]), { path: '/a.csv', rows: 2 }),
    clear: async (days) => (did.push(['clear', days]), { path: '/one/archive/x', segments: 3 }),
  };
  const busy: boolean[] = [];
  const posted: ToWebview[] = [];
  const answering = new Answering(answerers(host, { setBusy: (one) => busy.push(one) }), (message) => posted.push(message));
  const ask = async (question: unknown): Promise<ToWebview | undefined> => {
    await answering.receive({ kind: 'asked', id: 1, question: question as Question });
    return posted.pop();
  };
  const answer = async <Q extends Question>(question: Q): Promise<Answers[Q['type']]> => {
    const message = await ask(question);
    if (message?.kind !== 'answered') throw new Error(JSON.stringify(message));
    return message.answer as Answers[Q['type']];
  };
  return { dataset, did, memory, busy, ask, answer };
}

describe('each question', () => {
  test.each(Object.values(QUESTIONS))('$type is answered', async (question) => {
    expect(await hosted().ask(question)).toMatchObject({ kind: 'answered', id: 1 });
  });

  test.each(Object.values(QUESTIONS))('$type is answered or refused in words, where nothing can be read', async (question) => {
    const { ask, dataset } = hosted();
    dataset.fails = Object.assign(new Error('x'), { message: 'the disk is gone' });
    const message = await ask(question);
    const reads = ['overview', 'page', 'detail', 'openCode', 'export', 'refresh'].includes(question.type);
    expect(message).toMatchObject(reads ? { kind: 'refused', problem: 'the disk is gone' } : { kind: 'answered' });
  });

  test.each(Object.keys(QUESTIONS))('%s is answered or refused, whatever comes with it', async (type) => {
    const { ask } = hosted();
    for (const odd of [{}, { view: null, key: null, sort: null, settings: null, link: 5 }, { view: { range: 1 }, key: { segment: 1 } }]) {
      expect((await ask({ ...odd, type }))?.kind).toMatch(/answered|refused/);
    }
  });
});

test('hello says how it was left', async () => {
  const { answer, memory } = hosted();
  await memory.keepView(VIEW, 'day');
  fake.trusted = false;
  expect(await answer(QUESTIONS.hello)).toEqual({
    settings: SETTINGS, view: VIEW, slice: 'day', locale: 'en', texts: {}, trusted: false, overview: null,
  });
});

test('hello brings what is to be shown, where the records are read already', async () => {
  const { answer, dataset } = hosted();
  await answer(QUESTIONS.page);
  dataset.asked = [];
  const { overview } = await answer({ type: 'hello', looking: { view: VIEW, slice: 'week' }, rows: { sort: NEWEST_FIRST, offset: 20, limit: 20 } });
  expect(dataset.asked).toEqual([[VIEW, 'week', true], [VIEW, NEWEST_FIRST, 20, 20, true]]);
  expect(overview).toMatchObject({ revision: 1, records: 1234, source: { path: '/one' }, page: { revision: 1, rows: [ROW] } });
});

test('hello is answered without figures where they cannot be had', async () => {
  const { answer, dataset } = hosted();
  await answer(QUESTIONS.page);
  dataset.fails = new Error('x');
  expect((await answer(QUESTIONS.hello)).overview).toBeNull();
});

test('the first hello shows seven days', async () => {
  expect((await hosted().answer(QUESTIONS.hello)).view.range).toEqual({ name: '7d' });
});

test('an overview is of the view that was asked for, which is remembered', async () => {
  const { answer, dataset, memory } = hosted();
  const overview = await answer(QUESTIONS.overview);
  expect(dataset.asked).toEqual([[VIEW, 'week', true]]);
  expect(overview).toMatchObject({ revision: 1, records: 1234, source: { path: '/one' }, alerts: { state: 'none' } });
  expect([memory.view, memory.slice]).toEqual([VIEW, 'week']);
});

test('an overview that is not kept is shown all the same', async () => {
  const { answer, memory } = hosted();
  memory.keepView = () => Promise.reject(new Error('the disk is full'));
  expect(await answer(QUESTIONS.overview)).toMatchObject({ records: 1234 });
});

test('a page is never longer than what one message carries', async () => {
  const { answer, dataset } = hosted();
  await answer({ ...QUESTIONS.page, limit: 100_000 });
  await answer({ ...QUESTIONS.overview, rows: { ...QUESTIONS.page, limit: 100_000 } });
  expect(dataset.asked.filter((_, index) => index !== 1)).toEqual(Array(2).fill([VIEW, NEWEST_FIRST, 20, MOST_ROWS, true]));
});

test.each([
  ['a segment outside of the folder', { type: 'detail', key: { segment: '../../etc/passwd', offset: 0 } }],
  ['a segment that is none', { type: 'openRecord', key: { segment: 'a/b.jsonl', offset: 0 } }],
  ['a place before the beginning', { type: 'openCode', key: { segment: 'llm_calls.jsonl', offset: -1 } }],
  ['half a row', { ...QUESTIONS.page, offset: 0.5 }],
  ['half a row with an overview', { ...QUESTIONS.overview, rows: { ...QUESTIONS.page, offset: 0.5 } }],
  ['a column that there is not', { ...QUESTIONS.page, sort: { column: 'constructor', descending: true } }],
  ['a period that there is not', { ...QUESTIONS.overview, view: { range: { name: 'year' } } }],
])('%s is refused before anything is read', async (_, question) => {
  const { ask, dataset, did } = hosted();
  expect((await ask(question))?.kind).toBe('refused');
  expect([dataset.asked, did]).toEqual([[], []]);
});

test('what a question is to do is done, once and with what it said', async () => {
  const { answer, did, busy } = hosted();
  expect(await answer(QUESTIONS.openCode)).toEqual({ opened: 'searched' });
  await answer(QUESTIONS.openRecord);
  expect(await answer(QUESTIONS.export)).toEqual({ path: '/a.csv', rows: 2 });
  expect(await answer(QUESTIONS.clear)).toEqual({ path: '/one/archive/x', segments: 3 });
  await answer(QUESTIONS.chooseFolder);
  await answer(QUESTIONS.openLink);
  await answer(QUESTIONS.busy);
  expect(await answer(QUESTIONS.saveSettings)).toEqual({ ...SETTINGS, light: true });
  expect(did).toEqual([
    ['openCode', ROW.workflow], ['openRecord', KEY], ['export', VIEW, NEWEST_FIRST, true], ['clear', 7], ['chooseFolder', '/two'],
    ['openLink', 'guide'],
  ]);
  expect(busy).toEqual([true]);
});

test('the same view is written once', async () => {
  const state = new Memento();
  const memory = new Memory(state);
  let written = 0;
  const update = state.update.bind(state);
  state.update = async (key, value) => {
    written += 1;
    await update(key, value);
  };
  await memory.keepView(VIEW, null);
  await memory.keepView(VIEW, null);
  expect(written).toBe(2);
});
