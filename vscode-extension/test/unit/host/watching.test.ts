import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { Watch } from '../../../src/watching';
import { everyMidnight, Watching } from '../../../src/watching';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Counts looks; `change` is what a file's change does. */
function watched(look: () => Promise<unknown> = async () => undefined) {
  const seen = { looks: 0, watching: 0, begun: 0, failures: [] as unknown[], change: (): void => undefined };
  const watching = new Watching({
    look: () => {
      seen.looks += 1;
      return look();
    },
    watch: (changed) => {
      seen.watching += 1;
      seen.begun += 1;
      seen.change = changed;
      return { dispose: () => void (seen.watching -= 1) };
    },
    failed: (error) => void seen.failures.push(error),
  });
  return { seen, watching };
}

const OPEN: Watch = { attention: 'open', seconds: 30, busy: false };
const GLANCE: Watch = { ...OPEN, attention: 'glance' };
const CLOSED: Watch = { ...OPEN, attention: 'closed' };

test('a panel that opens looks at once, then at the interval', async () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.looks).toBe(1);
  await vi.advanceTimersByTimeAsync(90_001);
  expect(seen.looks).toBe(4);
});

test('twenty changes in a row are one look', async () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  for (let i = 0; i < 20; i += 1) seen.change();
  await vi.advanceTimersByTimeAsync(200);
  expect(seen.looks).toBe(2);
});

test('a writer that never stops is still seen', async () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  for (let i = 0; i < 100; i += 1) {
    seen.change();
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(seen.looks).toBeGreaterThanOrEqual(8);
});

test('while nothing shows there are no timers, no watcher and no looks', async () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  watching.set(CLOSED);
  seen.change();
  expect(vi.getTimerCount()).toBe(0);
  expect(seen.watching).toBe(0);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(seen.looks).toBe(1);
});

test('with the status bar alone there is no interval, and changes are looked at more slowly', async () => {
  const { seen, watching } = watched();
  watching.set(GLANCE);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(seen.looks).toBe(0);
  seen.change();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(seen.looks).toBe(0);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(seen.looks).toBe(1);
});

test('what changed while nobody saw it is caught up with', async () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  watching.set(CLOSED);
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.looks).toBe(2);
});

test('a busy panel is left alone, and shown what changed afterwards', async () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  watching.set({ ...OPEN, busy: true });
  seen.change();
  await vi.advanceTimersByTimeAsync(300_000);
  expect(seen.looks).toBe(1);
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.looks).toBe(2);
});

test('by hand only: neither watcher nor interval nor a look on opening', async () => {
  const { seen, watching } = watched();
  watching.set({ ...OPEN, seconds: 0 });
  watching.set({ ...GLANCE, seconds: 0 });
  await vi.advanceTimersByTimeAsync(600_000);
  expect([seen.looks, seen.begun]).toEqual([0, 0]);
});

test('another interval takes the place of the first', async () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  watching.set({ ...OPEN, seconds: 10 });
  await vi.advanceTimersByTimeAsync(60_001);
  expect(seen.looks).toBe(7);
});

test('looks never overlap: what changes during one is looked at after it', async () => {
  let finish = (): void => undefined;
  const { seen, watching } = watched(() => new Promise<void>((resolve) => (finish = resolve)));
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(0);
  seen.change();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(seen.looks).toBe(1);
  finish();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(seen.looks).toBe(2);
});

test('a look that fails is reported, and the next one is made', async () => {
  const { seen, watching } = watched(() => Promise.reject(new Error('no disk')));
  watching.set(OPEN);
  await vi.advanceTimersByTimeAsync(30_001);
  expect([seen.looks, seen.failures.length]).toEqual([2, 2]);
});

test('another folder is watched in the place of the first', () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  watching.rewatch();
  expect([seen.begun, seen.watching]).toEqual([2, 1]);
});

test('disposed, nothing is left', async () => {
  const { seen, watching } = watched();
  watching.set(OPEN);
  seen.change();
  watching.dispose();
  expect([vi.getTimerCount(), seen.watching]).toEqual([0, 0]);
});

test('each midnight wakes it, and no other time does', async () => {
  vi.setSystemTime(new Date(2026, 2, 28, 23, 0, 0));
  const days: number[] = [];
  const midnight = everyMidnight(() => days.push(new Date().getDate()));
  await vi.advanceTimersByTimeAsync(59 * 60_000);
  expect(days).toEqual([]);
  await vi.advanceTimersByTimeAsync(2 * 86_400_000);
  expect(days).toEqual([29, 30]);
  midnight.dispose();
  expect(vi.getTimerCount()).toBe(0);
});
