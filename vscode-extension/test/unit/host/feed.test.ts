import { beforeEach, describe, expect, test } from 'vitest';

import type { AlertsState } from '../../../shared/protocol';
import { Feed } from '../../../src/feed';
import type { Choice } from '../../../src/folders';
import { asDataset, FakeDataset } from './dataset';
import { reset } from './vscode';

beforeEach(reset);

const ALERTS: AlertsState = { state: 'running', evaluatedAt: 1, rules: 1, firing: [], pending: 0, faults: [] };

/** A feed over datasets by folder; `at` is the folder that would be found now. */
function fed(first: string | null = '/one') {
  const parts = {
    at: first, alerts: { state: 'none' } as AlertsState, now: new Date(2026, 0, 1, 12).getTime(), failures: [] as string[],
    datasets: [] as FakeDataset[], storages: [] as string[], alertsAsked: [] as string[], prepare: (_: FakeDataset): void => undefined,
  };
  const choice = (path: string): Choice => ({ path, label: path.slice(1) });
  const feed = new Feed({
    find: async () => ({ folder: parts.at === null ? null : choice(parts.at), choices: [choice('/one'), choice('/two')] }),
    make: (folder, storage) => {
      const made = new FakeDataset(folder);
      parts.prepare(made);
      parts.datasets.push(made);
      parts.storages.push(storage);
      return asDataset(made);
    },
    readAlerts: async (folder) => {
      parts.alertsAsked.push(folder);
      return parts.alerts;
    },
    storage: '/storage',
    now: () => parts.now,
    failed: (what) => parts.failures.push(what),
  });
  const told = { changed: [] as number[], moved: 0, read: 0, reading: [] as number[] };
  feed.onDidChange((revision) => told.changed.push(revision));
  feed.onDidMove(() => void (told.moved += 1));
  feed.onDidRead(() => void (told.read += 1));
  feed.onReading((done) => told.reading.push(done));
  const only = (): FakeDataset => parts.datasets[0] ?? expect.unreachable();
  return { feed, parts, told, only };
}

test('nothing is made before it is asked for, and nothing read for a path', async () => {
  const { feed, parts, only } = fed();
  expect(parts.datasets).toHaveLength(0);
  expect(await feed.folder()).toBe('/one');
  expect(only().looks).toBe(0);
});

test('the first read is made once, however many ask, and tells how far it is', async () => {
  const { feed, told, only } = fed();
  await Promise.all([feed.dataset(), feed.dataset(), feed.dataset()]);
  expect([only().looks, told.read, told.reading, told.changed]).toEqual([1, 1, [0.5], []]);
});

test('a first read that failed is made again', async () => {
  const { feed, parts, only } = fed();
  parts.prepare = (made) => void (made.fails = new Error('no disk'));
  await expect(feed.dataset()).rejects.toThrow('no disk');
  only().fails = null;
  await feed.dataset();
  expect(only().looks).toBe(2);
});

test('a look tells of news, and only of news', async () => {
  const { feed, told, only } = fed();
  await feed.dataset();
  expect(await feed.refresh()).toBe(1);
  only().news = true;
  expect(await feed.refresh()).toBe(2);
  expect(told.changed).toEqual([2]);
});

describe('aside from records', () => {
  test('other alerts are news', async () => {
    const { feed, parts, told } = fed();
    await feed.dataset();
    parts.alerts = ALERTS;
    await feed.refresh();
    expect([told.changed, feed.alerts()]).toEqual([[2], ALERTS]);
  });

  test('a watcher that evaluated again is none', async () => {
    const { feed, parts, told } = fed();
    parts.alerts = ALERTS;
    await feed.dataset();
    parts.alerts = { ...ALERTS, evaluatedAt: 2 };
    await feed.refresh();
    expect(told.changed).toEqual([]);
  });

  test('another day is news, another hour is none', async () => {
    const { feed, parts, told } = fed();
    await feed.dataset();
    parts.now += 3_600_000;
    await feed.refresh();
    expect(told.changed).toEqual([]);
    parts.now += 86_400_000;
    await feed.refresh();
    expect(told.changed).toEqual([2]);
  });
});

describe('another folder', () => {
  test('takes the place of the first, with revisions that never were', async () => {
    const { feed, parts, told } = fed();
    const before = feed.revision((await feed.dataset()).reading.revision);
    parts.at = '/two';
    await feed.relocate();
    const after = feed.revision((await feed.dataset()).reading.revision);
    expect(after).toBeGreaterThan(before);
    expect([told.moved, told.changed.length, parts.datasets.map((one) => one.closed)]).toEqual([1, 1, [true, false]]);
    expect((await feed.source()).label).toBe('two');
    expect(new Set(parts.storages).size).toBe(2);
  });

  test('is none, where the same is found', async () => {
    const { feed, parts, told } = fed();
    await feed.dataset();
    await feed.relocate();
    expect([told.moved, parts.datasets.length]).toEqual([0, 1]);
  });

  test('is looked for while the first is not there', async () => {
    const { feed, parts, told } = fed();
    parts.prepare = (made) => void (made.state_ = made.folder === '/one' ? 'missing' : 'ready');
    await feed.dataset();
    parts.at = '/two';
    await feed.refresh();
    expect([told.moved, (await feed.source()).state]).toEqual([1, 'ready']);
  });

  test('that comes during a look is the one that is answered for', async () => {
    const { feed, parts, only } = fed();
    await feed.dataset();
    let go = (): void => undefined;
    only().refreshing = new Promise((resolve) => (go = resolve));
    const looking = feed.refresh();
    await Promise.resolve();
    parts.at = '/two';
    await feed.relocate();
    go();
    await looking;
    expect((await feed.source()).path).toBe('/two');
    expect(parts.alertsAsked.at(-1)).toBe('/two');
  });

  test('before any was asked for changes nothing', async () => {
    const { feed, parts } = fed();
    await feed.relocate();
    expect(parts.datasets).toHaveLength(0);
  });
});

test('without a folder the answers are those of an empty one, and say why', async () => {
  const { feed, parts, only } = fed(null);
  await feed.refresh();
  expect([await feed.folder(), only().folder, parts.alertsAsked]).toEqual([null, '/storage/none', []]);
  expect(await feed.source()).toMatchObject({ path: '', state: 'missing', problem: 'No folder is open.' });
});

test('disposed, the dataset is closed', async () => {
  const { feed, only } = fed();
  await feed.dataset();
  feed.dispose();
  expect(only().closed).toBe(true);
});
