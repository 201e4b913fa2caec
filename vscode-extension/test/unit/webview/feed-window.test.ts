import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { MOST_ROWS } from '../../../shared/protocol';
import type { Page } from '../../../shared/protocol';
import { FeedWindow, PORTION } from '../../../webview/feed-window';
import { makeRows } from '../../harness/records';
import { settled } from './host';

const ROWS = makeRows(12_000);
let asked: [offset: number, limit: number][];
let answer: (offset: number, limit: number) => Promise<Page>;
let feed: FeedWindow;

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  answer = async (offset, limit) => ({ revision: 1, total: ROWS.length, offset, rows: ROWS.slice(offset, offset + limit) });
  feed = new FeedWindow((offset, limit) => {
    asked.push([offset, limit]);
    return answer(offset, limit);
  });
  feed.look(true);
});
afterEach(() => { vi.useRealTimers(); });

async function scrollTo(first: number, last = first + 20): Promise<void> {
  feed.want(first, last);
  await vi.advanceTimersByTimeAsync(100);
}

describe('the rows of the list', () => {
  test('come in portions that a message can hold', async () => {
    await settled();
    expect(asked).toEqual([[0, PORTION]]);
    expect(PORTION).toBeLessThanOrEqual(MOST_ROWS);
    expect([feed.snapshot().total, feed.row(5), feed.row(PORTION)]).toEqual([12_000, ROWS[5], undefined]);
  });

  test('that are there are not asked for again', async () => {
    await scrollTo(0);
    await scrollTo(30);
    expect(asked).toHaveLength(1);
  });

  test('at a seam come from both portions', async () => {
    await scrollTo(0);
    await scrollTo(PORTION - 5, PORTION + 5);
    expect(asked.slice(1)).toEqual([[PORTION, PORTION]]);
    await scrollTo(3 * PORTION - 5, 3 * PORTION + 5);
    expect(asked.slice(2)).toEqual([[2 * PORTION, PORTION], [3 * PORTION, PORTION]]);
  });

  test('that one only passes while dragging are not asked for', async () => {
    await scrollTo(0);
    for (let row = 1000; row <= 9000; row += 500) feed.want(row, row + 20);
    await vi.advanceTimersByTimeAsync(100);
    expect(asked.slice(1)).toEqual([[9000, PORTION]]);
  });

  test('of an older state stay until the new ones come', async () => {
    await scrollTo(0);
    let arrive: (page: Page) => void = () => undefined;
    answer = () => new Promise((resolve) => { arrive = resolve; });
    feed.renew();
    expect(feed.row(0)).toBe(ROWS[0]);
    arrive({ revision: 2, total: 1, offset: 0, rows: ROWS.slice(7, 8) });
    await settled();
    expect([feed.row(0), feed.snapshot().total]).toEqual([ROWS[7], 1]);
  });

  test('of another order go at once, and their late answers are dropped', async () => {
    await scrollTo(0);
    const late: ((page: Page) => void)[] = [];
    answer = () => new Promise((resolve) => { late.push(resolve); });
    feed.reset();
    feed.reset();
    expect([feed.row(0), feed.snapshot().total]).toEqual([undefined, null]);
    late[0]?.({ revision: 1, total: 99, offset: 0, rows: [] });
    await settled();
    expect(feed.snapshot().total).toBeNull();
    late[1]?.({ revision: 1, total: 3, offset: 0, rows: ROWS.slice(0, 3) });
    await settled();
    expect(feed.snapshot().total).toBe(3);
  });

  test('that are far away are forgotten', async () => {
    for (let row = 0; row < 60 * PORTION; row += PORTION) await scrollTo(row, row);
    expect([feed.row(0), feed.row(59 * PORTION)]).toEqual([undefined, ROWS[59 * PORTION]]);
  });

  test('that are refused say why; the next try takes it away', async () => {
    answer = () => Promise.reject(new Error('EIO'));
    await settled();
    feed.renew();
    await settled();
    expect(feed.snapshot()).toEqual({ total: 12_000, problem: 'EIO' });
    answer = async (offset) => ({ revision: 1, total: 0, offset, rows: [] });
    feed.renew();
    await settled();
    expect(feed.snapshot()).toEqual({ total: 0, problem: null });
  });

  test('are not asked for while nobody looks', async () => {
    const unseen = new FeedWindow(() => Promise.reject(new Error('asked')));
    unseen.want(0, 10);
    unseen.renew();
    await vi.advanceTimersByTimeAsync(100);
    expect(unseen.snapshot().problem).toBeNull();
  });

  test('are not asked for after the end', async () => {
    await scrollTo(0);
    feed.want(5000, 5010);
    feed.close();
    await vi.advanceTimersByTimeAsync(100);
    expect(asked).toHaveLength(1);
  });
});
