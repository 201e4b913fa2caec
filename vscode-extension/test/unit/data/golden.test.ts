/** The golden records give the figures that were worked out by hand. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { NO_FILTERS } from '../../../shared/protocol';
import { Dataset } from '../../../src/data';
import { inZone } from './elsewhere';
import { answersTo, type Answer, type Case, type Question, type Row, type Values } from './figures';

const GOLDEN = join(__dirname, '../../../../tests/golden');
const NAMES = readdirSync(GOLDEN, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);

function load(name: string): Case {
  return JSON.parse(readFileSync(join(GOLDEN, name, 'expected.json'), 'utf8')) as Case;
}

function inOrder<T extends Answer>(answers: readonly T[]): T[] {
  return [...answers].sort((one, other) => (JSON.stringify(one.of) < JSON.stringify(other.of) ? -1 : 1));
}

function compare(question: Question, answers: readonly Row[]): void {
  const wanted = inOrder(question.expected);
  const found = inOrder(answers);
  expect(found.map(({ of }) => of), JSON.stringify(question)).toEqual(wanted.map(({ of }) => of));
  wanted.forEach((row, place) => {
    const mine = found[place]!;
    for (const [key, value] of Object.entries(row)) {
      if (key === 'of') continue;
      const what = `${JSON.stringify(question.group_by)} ${JSON.stringify(row.of)} ${key}`;
      const got = mine.values[key];
      if (value === null) expect(got, what).toBeNull();
      else expect(Math.abs(Number(got) - Number(value)), `${what}: ${got} for ${value}`).toBeLessThanOrEqual(
        (/_p\d\d$/.test(key) ? 0.036 : 1e-9) * Math.max(1, Math.abs(Number(value))));
    }
  });
}

describe.each(NAMES)('%s', (name) => {
  const golden = load(name);

  test('in its time zone', async () => {
    const answers = await inZone(golden.time_zone, `
      import { answersTo } from './figures';
      void answersTo(${JSON.stringify(join(GOLDEN, name))}, ${JSON.stringify(golden)}).then((answers) => console.log(JSON.stringify(answers)));
    `) as Row[][];
    expect(answers).toHaveLength(golden.questions.length);
    golden.questions.forEach((question, place) => {
      compare(question, answers[place]!);
      for (const { values } of answers[place]!) {
        if (!('since' in values)) continue;
        expect([values.since, values.until]).toEqual([Date.parse(question.since!), Date.parse(question.until!)]);
      }
    });
  });

  test.runIf(golden.time_zone === new Intl.DateTimeFormat().resolvedOptions().timeZone)('in this process', async () => {
    const answers = await answersTo(join(GOLDEN, name), golden);
    golden.questions.forEach((question, place) => compare(question, answers[place]!));
  });

  test('as the panel is told', async () => {
    const dataset = new Dataset({ folder: join(GOLDEN, name), storage: null, workerFile: null, now: () => Date.parse(golden.now) });
    await dataset.refresh();
    for (const question of golden.questions) {
      if (question.figures !== 'calls' || question.group_by.length > 0 || question.since || question.until) continue;
      const { totals } = dataset.overview({ range: { name: 'all' }, filters: NO_FILTERS }, null, question.include_tests ?? false);
      const figures: Values = {
        ...totals, unknown: totals.unknownCost, savings_percent: totals.savingsPercent, success_rate: totals.successRate,
        latency_avg: totals.averageLatency, cache_read: totals.cacheRead, cache_write: totals.cacheWrite,
      };
      const known = question.expected.map((row) => Object.fromEntries(Object.entries(row).filter(([key]) => key === 'of' || key in figures)));
      compare({ ...question, expected: known as unknown as Answer[] }, question.expected.length ? [{ of: [], values: figures }] : []);
    }
  });
});
