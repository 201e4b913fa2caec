/** Views of a folder: filters, orders, pages, parts and groups. */

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEWEST_FIRST, NO_FILTERS, SORT_COLUMNS, type Filters, type Range, type Row, type Sort, type View } from '../../../shared/protocol';
import { Dataset } from '../../../src/data';
import { before, counted, fitting, midnight, parts, periodOf } from '../../../src/data/periods';
import { sorted } from '../../../src/data/radix';
import { call, random, run } from './lines';

const NOW = Date.UTC(2026, 10, 23, 12);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const iso = (time: number): string => new Date(time).toISOString();

const CALLS = [
  { call_id: 'a', timestamp: iso(NOW - HOUR), workflow_name: 'review', provider: 'openai', tier: 'cheap', estimated_cost: 1, latency_ms: 30, input_tokens: 5, output_tokens: 5 },
  { call_id: 'b', timestamp: iso(NOW - 2 * HOUR), workflow_name: 'review', provider: 'anthropic', tier: 'premium', estimated_cost: 8, latency_ms: 10, input_tokens: 1, output_tokens: 1, success: false, error_type: 'RateLimitError' },
  { call_id: 'c', timestamp: iso(NOW - DAY - HOUR), workflow_name: 'triage', provider: 'openai', tier: 'cheap', estimated_cost: 2, latency_ms: 20, attune: { cancelled: true } },
  { call_id: 'd', timestamp: iso(NOW - 8 * DAY), workflow_name: null, provider: 'openai', tier: 'cheap', estimated_cost: undefined, attune: { unknown: ['estimated_cost'] }, user_id: 'ann', session_id: 'S-7' },
  { call_id: 'e', timestamp: iso(NOW - 40 * DAY), workflow_name: 'review', provider: 'openai', tier: 'cheap', estimated_cost: 4, attune: { project: 'shop' } },
  { call_id: 'f', timestamp: iso(NOW + HOUR), workflow_name: 'Review 10', provider: 'openai', tier: 'cheap', estimated_cost: 16, attune: { under_pytest: true } },
];

let folder = '';
let dataset: Dataset;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'view-'));
  writeFileSync(join(folder, 'llm_calls.jsonl'), `${CALLS.map(call).join('\n')}\n`);
  const runs = [run({ run_id: 'r1', workflow_name: 'review', started_at: iso(NOW - 3 * HOUR) }), run({ run_id: 'r2', workflow_name: 'review', started_at: iso(NOW - 4 * HOUR), metadata: { attune: { parent_run_id: 'r1' } } })];
  writeFileSync(join(folder, 'workflow_details.jsonl'), `${runs.join('\n')}\n`);
  writeFileSync(join(folder, 'workflow_runs.jsonl'), `${runs[0]}\n`);
  dataset = new Dataset({ folder, storage: null, workerFile: null, now: () => NOW });
  await dataset.refresh();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function view(filters: Partial<Filters> = {}, range: Range = { name: 'all' }): View {
  return { range, filters: { ...NO_FILTERS, ...filters } };
}

async function costs(of: View, sort: Sort = NEWEST_FIRST, tests = false): Promise<(number | null)[]> {
  return (await dataset.page(of, sort, 0, 100, tests)).rows.map(({ cost }) => cost);
}

describe('filters', () => {
  test.each<[string, Partial<Filters>, (number | null)[]]>([
    ['nothing', {}, [1, 8, 2, null, 4]],
    ['a workflow', { workflows: ['review'] }, [1, 8, 4]],
    ['calls without a workflow', { workflows: [''] }, [null]],
    ['a provider', { providers: ['anthropic'] }, [8]],
    ['two tiers', { tiers: ['premium', 'cheap'] }, [1, 8, 2, null, 4]],
    ['a name that nobody has', { tiers: ['none such'] }, []],
    ['an outcome', { outcomes: ['error'] }, [8]],
    ['two outcomes', { outcomes: ['ok', 'cancelled'] }, [1, 2, null, 4]],
    ['several at once', { workflows: ['review'], providers: ['openai'], outcomes: ['ok'] }, [1, 4]],
    ['an error', { text: 'ratelimit' }, [8]],
    ['a user', { text: ' ANN ' }, [null]],
    ['a session', { text: 's-7' }, [null]],
    ['a project', { text: 'shop' }, [4]],
    ['text and a name', { text: 'review', providers: ['anthropic'] }, [8]],
  ])('by %s', async (_, filters, wanted) => {
    expect(await costs(view(filters))).toEqual(wanted);
    expect(dataset.overview(view(filters), null, false).totals.calls).toBe(wanted.length);
  });

  test('leave what can be chosen as it is', () => {
    const { offered } = dataset.overview(view({ workflows: ['triage'], text: 'x' }), null, false);
    expect(offered).toEqual({ workflows: ['', 'review', 'triage'], providers: ['anthropic', 'openai'], tiers: ['cheap', 'premium'] });
  });

  test('let records made under pytest through where they are asked for', async () => {
    expect(await costs(view(), NEWEST_FIRST, true)).toEqual([16, 1, 8, 2, null, 4]);
    expect(dataset.overview(view(), null, false).notes.tests).toBe(1);
    expect(dataset.overview(view(), null, true).notes.tests).toBe(0);
  });
});

describe('what was counted for one filter', () => {
  const ranges: Range[] = [{ name: 'today' }, { name: '7d' }, { name: 'all' }, { name: 'custom', from: '2026-11-22', to: '2026-11-22' }];
  const filters: Partial<Filters>[] = [{}, { providers: ['openai'] }, { workflows: ['review'], outcomes: ['ok'] }, { tiers: ['none such'] }, { outcomes: ['cancelled'], text: 'triage' }, { text: 'ann' }];

  test('serves others, and other parts, as if each had been asked first', async () => {
    for (const range of ranges) {
      for (const filter of filters) {
        for (const [slice, tests] of [['day', false], ['hour', false], ['day', true]] as const) {
          const fresh = new Dataset({ folder, storage: null, workerFile: null, now: () => NOW });
          await fresh.refresh();
          // The fresh one walks through the rows for the page, this one knows how many there are.
          const page = fresh.page(view(filter, range), NEWEST_FIRST, 1, 2, tests);
          expect(dataset.overview(view(filter, range), slice, tests)).toEqual(fresh.overview(view(filter, range), slice, tests));
          expect(dataset.page(view(filter, range), NEWEST_FIRST, 1, 2, tests)).toEqual(page);
        }
      }
    }
  });

  test('is counted anew when there are more calls', async () => {
    const growing = mkdtempSync(join(tmpdir(), 'view-'));
    const path = join(growing, 'llm_calls.jsonl');
    writeFileSync(path, `${call(CALLS[0]!)}\n`);
    const read = new Dataset({ folder: growing, storage: null, workerFile: null, now: () => NOW });
    await read.refresh();
    expect(read.overview(view(), null, false).totals.cost).toBe(1);
    appendFileSync(path, `${call(CALLS[1]!)}\n`);
    await read.refresh();
    expect(read.overview(view(), null, false).totals.cost).toBe(9);
    expect(read.page(view(), NEWEST_FIRST, 0, 10, false).total).toBe(2);
    rmSync(growing, { recursive: true });
  });
});

describe('ranges', () => {
  test.each<[Range, number]>([
    [{ name: 'today' }, 2], [{ name: '7d' }, 3], [{ name: '30d' }, 4], [{ name: 'all' }, 5],
    [{ name: 'custom', from: '2026-11-22', to: '2026-11-22' }, 1], [{ name: 'custom', from: '2026-11-23', to: '2026-10-01' }, 5],
  ])('%o has its calls', (range, calls) => {
    expect(dataset.overview(view({}, range), null, false).totals.calls).toBe(calls);
    expect(dataset.costOf(range, false).calls).toBe(calls);
  });

  test('say what they cost', () => {
    expect(dataset.costOf({ name: '30d' }, false)).toEqual({ cost: 11, calls: 4, unknownCost: 1 });
  });

  test.each([{ name: 'custom' }, { name: 'custom', from: '2026-02-30', to: '2026-03-01' }, { name: 'custom', from: 'x', to: '2026-03-01' }] as Range[])('%o is none', (range) => {
    expect(() => dataset.overview(view({}, range), null, false)).toThrow(RangeError);
  });

  test('are compared with the same time before', () => {
    expect(dataset.overview(view({}, { name: 'today' }), null, false).before).toMatchObject({ calls: 1, cost: 2 });
    expect(dataset.overview(view({}, { name: '7d' }), null, false).before).toMatchObject({ calls: 1, unknownCost: 1 });
    expect(dataset.overview(view({ workflows: ['triage'] }, { name: '7d' }), null, false).before).toBeNull();
    expect(dataset.overview(view({}, { name: 'all' }), null, false).before).toBeNull();
    // The records do not go back so far.
    expect(dataset.overview(view({}, { name: '30d' }), null, false).before).toBeNull();
  });
});

describe('groups', () => {
  test('stand by cost', () => {
    const { providers, tiers, workflows } = dataset.overview(view(), null, false);
    expect(providers.map(({ name, cost, unknownCost }) => [name, cost, unknownCost])).toEqual([['anthropic', 8, 0], ['openai', 7, 1]]);
    expect(tiers.map(({ name, calls }) => [name, calls])).toEqual([['premium', 1], ['cheap', 4]]);
    expect(workflows.map(({ name, cost, runs, averageCost }) => [name, cost, runs, averageCost])).toEqual([
      ['review', 13, 2, 6.5], ['triage', 2, 0, null], ['', 0, 0, null],
    ]);
  });

  test('have no average of which calls are left out', () => {
    const { workflows } = dataset.overview(view({ outcomes: ['ok'] }), null, false);
    expect(workflows[0]).toMatchObject({ name: 'review', cost: 5, runs: 2, averageCost: null });
  });

  test('of parts add up to all', () => {
    for (const slice of ['hour', 'day', 'week'] as const) {
      const overview = dataset.overview(view(), slice, false);
      expect(overview.slice).toBe(slice);
      expect(overview.parts.reduce((sum, part) => sum + part.figures.cost, 0)).toBe(15);
      const byProvider = overview.parts.flatMap((part) => part.byProvider);
      expect(byProvider.reduce((sum, [, cost]) => sum + cost, 0)).toBe(15);
      expect(overview.parts.flatMap((part) => part.byTier).filter(([name]) => name === 'premium')).toEqual([['premium', 8]]);
      overview.parts.slice(1).forEach((part, place) => expect(part.since).toBe(overview.parts[place]!.until));
    }
  });
});

describe('orders', () => {
  const keyOf: Record<(typeof SORT_COLUMNS)[number], (row: Row) => string | number | null> = {
    time: (row) => row.time, workflow: (row) => row.workflow, provider: (row) => row.provider, model: (row) => row.model, tier: (row) => row.tier,
    cost: (row) => row.cost, tokens: (row) => row.input + row.output, status: (row) => ['ok', 'error', 'cancelled'].indexOf(row.outcome),
    latency: (row) => row.latency,
  };

  test.each(SORT_COLUMNS.flatMap((column) => [true, false].map((descending) => ({ column, descending }))))('$column, descending $descending', async (sort) => {
    const { rows } = await dataset.page(view(), sort, 0, 100, true);
    const keys = rows.map(keyOf[sort.column]).filter((key) => key !== null);
    const wanted = [...keys].sort((one, other) => (typeof one === 'string' ? one.localeCompare(String(other), undefined, { numeric: true }) : one - Number(other)));
    expect(keys).toEqual(sort.descending ? wanted.reverse() : wanted);
    expect(rows).toHaveLength(6);
    // What is not known stands last in either order.
    if (sort.column === 'cost') expect(rows.at(-1)!.cost).toBeNull();
  });

  test('of many numbers are those of a plain sort', () => {
    const next = random(3);
    const values = Float64Array.from({ length: 10_000 }, (_, i) => [0, -0, Infinity, -Infinity, 1e300, -1e-300][i % 50] ?? (next() - 0.5) * 10 ** Math.floor(next() * 12));
    const ids = Uint32Array.from(values, (_, i) => i);
    const wanted = [...ids].sort((one, other) => (values[one]! < values[other]! ? -1 : values[one]! > values[other]! ? 1 : one - other));
    expect([...sorted(ids, values)]).toEqual(wanted);
    expect([...sorted(ids.slice(0, 100), values.slice(0, 100))]).toEqual(wanted.filter((id) => id < 100));
  });
});

describe('pages', () => {
  test('are cut from the whole', async () => {
    const page = await dataset.page(view(), NEWEST_FIRST, 2, 2, false);
    expect(page).toMatchObject({ total: 5, offset: 2, revision: dataset.reading.revision });
    expect(page.rows.map(({ cost }) => cost)).toEqual([2, null]);
    expect((await dataset.page(view(), NEWEST_FIRST, 99, 2, false)).rows).toEqual([]);
    expect((await dataset.page(view(), NEWEST_FIRST, -5, -1, false)).rows).toEqual([]);
  });

  test('in portions are all of it', async () => {
    const rows: Row[] = [];
    for await (const portion of dataset.rows(view(), NEWEST_FIRST, false)) rows.push(...portion);
    expect(rows).toEqual((await dataset.page(view(), NEWEST_FIRST, 0, 500, false)).rows);
  });
});

describe('periods', () => {
  test('are cut as the calendar is', () => {
    const period = periodOf({ name: '30d' }, NOW, null);
    expect(period.since).toBe(midnight(NOW, -29));
    expect(fitting(period)).toBe('day');
    expect(fitting(periodOf({ name: 'today' }, NOW, null))).toBe('hour');
    expect(fitting({ since: NOW - 100 * DAY, until: NOW })).toBe('week');
    expect(parts(period, 'week').parts.slice(1).map(({ since }) => new Date(since).getDay())).toEqual([1, 1, 1, 1, 1]);
    expect(parts({ since: NOW - 3000 * DAY, until: NOW }, 'hour').slice).toBe('week');
  });

  test('of nothing are empty', () => {
    expect(periodOf({ name: 'all' }, NOW, null)).toEqual({ since: NOW, until: NOW });
    expect(counted({ since: 1, until: 2 }, { name: 'custom' }, 3)).toEqual({ since: 1, until: 2 });
  });

  test('before are as long', () => {
    const since = NOW - 5 * HOUR - 90_000;
    expect(before({ since, until: NOW }, NOW)).toEqual({ since: since - 5 * HOUR - 60_000, until: since });
    expect(before({ since: since - 20 * DAY, until: NOW }, NOW).since).toBe(since - 20 * DAY - 20 * DAY - 5 * HOUR);
  });
});
