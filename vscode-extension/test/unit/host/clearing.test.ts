import { beforeEach, describe, expect, test } from 'vitest';

import type { Archived } from '../../../src/data';
import { clear, Retention } from '../../../src/clearing';
import { Feed } from '../../../src/feed';
import { asDataset, FakeDataset } from './dataset';
import { fake, Memento, reset } from './vscode';

beforeEach(reset);

const MOVED: Archived = { path: '/one/archive/20260101T000000Z', moved: ['a', 'b'], lateLines: 0, problems: {} };
const NONE: Archived = { ...MOVED, path: null, moved: [] };

function cleared(folder: string | null = '/one', result = MOVED) {
  const dataset = new FakeDataset('/one');
  dataset.olderCalls = 5;
  const clock = { now: new Date(2026, 0, 31, 12).getTime() };
  const feed = new Feed({
    find: async () => ({ folder: folder === null ? null : { path: folder, label: 'ws/one' }, choices: [] }),
    make: () => asDataset(dataset),
    readAlerts: async () => ({ state: 'none' }),
    storage: '/storage', now: () => clock.now, failed: () => undefined,
  });
  const archived: unknown[] = [];
  const archive = async (...call: unknown[]): Promise<Archived> => {
    archived.push(call);
    return result;
  };
  const retention = new Retention(feed, archive, new Memento(), () => clock.now);
  return { feed, dataset, archive, archived, retention, clock };
}

describe('clearing', () => {
  test('asks first, naming what moves from where to where, and does nothing without a yes', async () => {
    const { feed, archive, archived } = cleared();
    expect(await clear(feed, archive, 0)).toBeNull();
    expect(archived).toEqual([]);
    expect(fake.said).toMatchObject([{ kind: 'warning', text: 'Clear the history of ws/one?', buttons: ['Move All'] }]);
    expect(fake.said[0]?.detail).toMatch(/^1,234 records move from \/one to \/one\/archive\./);
  });

  test('moves everything, and looks at the folder again', async () => {
    const { feed, archive, archived, dataset } = cleared();
    fake.press = 'Move All';
    expect(await clear(feed, archive, 30)).toEqual({ path: MOVED.path, segments: 2 });
    expect(archived).toEqual([['/one', {}]]);
    expect(dataset.looks).toBe(2);
  });

  test('moves what is old, where that is asked for', async () => {
    const { feed, archive, archived } = cleared();
    fake.press = 'Move Older Than 30 Days';
    await clear(feed, archive, 30);
    expect(archived).toEqual([['/one', { olderThanDays: 30 }]]);
  });

  test('says so, where nothing could be moved', async () => {
    const { feed, archive } = cleared('/one', NONE);
    fake.press = 'Move All';
    expect(await clear(feed, archive, 0)).toBeNull();
    expect(fake.said.at(-1)?.text).toContain('nothing was moved');
  });

  test('fails in words, where the disk refused', async () => {
    const { feed, archive } = cleared('/one', { ...NONE, problems: { '/one/archive': 'permission denied' } });
    fake.press = 'Move All';
    await expect(clear(feed, archive, 0)).rejects.toThrow('/one/archive: permission denied');
  });

  test('says what stayed, where a part was moved', async () => {
    const { feed, archive } = cleared('/one', { ...MOVED, problems: { '/one/x.jsonl': 'is in use' } });
    fake.press = 'Move All';
    expect(await clear(feed, archive, 0)).toMatchObject({ segments: 2 });
    expect(fake.said.at(-1)).toMatchObject({ kind: 'warning', text: '/one/x.jsonl: is in use' });
  });

  test('without a folder is refused', async () => {
    const { feed, archive } = cleared(null);
    await expect(clear(feed, archive, 0)).rejects.toThrow('There is no folder of records.');
  });
});

describe('retention', () => {
  test('asks before its first time, and not again once it was agreed to', async () => {
    const { retention, archived, clock } = cleared();
    fake.press = 'Move Old Records';
    expect(await retention.run(30)).toEqual({ path: MOVED.path, segments: 2 });
    clock.now += 86_400_000;
    await retention.run(30);
    expect(archived).toEqual([['/one', { olderThanDays: 30 }], ['/one', { olderThanDays: 30 }]]);
    expect(fake.said).toHaveLength(1);
    expect(fake.said[0]?.text).toContain('/one/archive');
  });

  test('is done once a day', async () => {
    const { retention, archived } = cleared();
    fake.press = 'Move Old Records';
    await retention.run(30);
    await retention.run(30);
    expect(archived).toHaveLength(1);
  });

  test('does not come back after a no', async () => {
    const { retention, archived, clock } = cleared();
    fake.press = 'Not in This Workspace';
    await retention.run(30);
    clock.now += 86_400_000;
    await retention.run(30);
    expect([archived, fake.said.length]).toEqual([[], 1]);
  });

  test('asks again another day, where the question was only closed', async () => {
    const { retention, archived, clock } = cleared();
    await retention.run(30);
    await retention.run(30);
    expect(fake.said).toHaveLength(1);
    clock.now += 86_400_000;
    await retention.run(30);
    expect([archived, fake.said.length]).toEqual([[], 2]);
  });

  test.each([
    ['it is off', (_: ReturnType<typeof cleared>) => undefined, 0],
    ['nothing is that old', ({ dataset }: ReturnType<typeof cleared>) => void (dataset.olderCalls = 0), 30],
    ['the workspace is not trusted', () => void (fake.trusted = false), 30],
  ])('neither asks nor moves where %s', async (_, prepare, days) => {
    const parts = cleared();
    prepare(parts);
    fake.press = 'Move Old Records';
    expect(await parts.retention.run(days)).toBeNull();
    expect([fake.said, parts.archived]).toEqual([[], []]);
  });

  test('does not run twice at the same time', async () => {
    const { retention, archived } = cleared();
    fake.press = 'Move Old Records';
    await Promise.all([retention.run(30), retention.run(30)]);
    expect(archived).toHaveLength(1);
  });
});
