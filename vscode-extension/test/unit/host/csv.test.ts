import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Row } from '../../../shared/protocol';
import { head, line, writeCsv } from '../../../src/csv';

const ROW: Row = {
  key: { segment: 'llm_calls.jsonl', offset: 0 }, time: Date.UTC(2026, 0, 2, 3, 4, 5, 678), workflow: 'review', stage: 'analyze',
  provider: 'openai', model: 'gpt-5-mini', tier: 'cheap', cost: 0.0125, input: 1200, output: 34, outcome: 'ok', error: '', latency: 812,
};

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'csv-'))));
afterEach(() => rm(folder, { recursive: true }));

async function* portions(...rows: Row[][]): AsyncIterable<readonly Row[]> {
  yield* rows;
}

/** RFC 4180, as a spreadsheet program reads it. */
function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    row.push(quoted === undefined ? plain ?? '' : quoted.replaceAll('""', '"'));
    if (end !== ',') {
      rows.push(row);
      row = [];
    }
  }
  return rows.filter((one) => one.length > 1);
}

test('a row has one cell for each name of the head, numbers as they are', () => {
  const [names, cells] = parse(head().slice(1) + line(ROW));
  expect(names).toEqual([
    'timestamp', 'workflow_name', 'step_name', 'provider', 'model_id', 'tier', 'cost', 'input_tokens', 'output_tokens', 'outcome',
    'error_type', 'latency_ms',
  ]);
  expect(cells).toEqual([
    '2026-01-02T03:04:05.678Z', 'review', 'analyze', 'openai', 'gpt-5-mini', 'cheap', '0.0125', '1200', '34', 'ok', '', '812',
  ]);
});

test('the encoding is said at the beginning', () => {
  expect(head().charCodeAt(0)).toBe(0xfeff);
});

test('an unknown cost is an empty cell, not 0', () => {
  expect(parse(line({ ...ROW, cost: null }))[0]?.[6]).toBe('');
});

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\rx', '\nx', '＝1', '＋1', '－1', '＠x', '=HYPERLINK("http://x","y")'])(
  'no spreadsheet takes %j for a formula', (workflow) => {
    expect(parse(line({ ...ROW, workflow }))[0]?.[1]).toBe(`'${workflow}`);
  },
);

test('any text comes back as it was, but for the apostrophe', () => {
  const text = fc.string({ unit: fc.constantFrom('"', ',', '\r', '\n', 'a', '=', 'é', '😀', '\0', ' ') });
  fc.assert(fc.property(text, text, (error, workflow) => {
    const cells = parse(line({ ...ROW, error, workflow }))[0] ?? [];
    expect(cells).toHaveLength(12);
    expect([cells[10]?.replace(/^'/, ''), cells[1]?.replace(/^'/, '')]).toEqual([error.replace(/^'/, ''), workflow.replace(/^'/, '')]);
  }));
});

test('a file has all portions, and nobody else may read it', async () => {
  const file = path.join(folder, 'calls.csv');
  const said: number[] = [];
  expect(await writeCsv(file, portions([ROW, ROW], [ROW]), (rows) => said.push(rows))).toBe(3);
  expect(await readFile(file, 'utf8')).toBe(head() + line(ROW).repeat(3));
  expect(said).toEqual([2, 3]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['calls.csv']);
});

test('cancelled, what was there stays and nothing is left over', async () => {
  const file = path.join(folder, 'calls.csv');
  await writeFile(file, 'before');
  expect(await writeCsv(file, portions([ROW]), () => undefined, () => true)).toBeNull();
  expect([await readFile(file, 'utf8'), await readdir(folder)]).toEqual(['before', ['calls.csv']]);
});

test('where reading fails, what was there stays and nothing is left over', async () => {
  const file = path.join(folder, 'calls.csv');
  await writeFile(file, 'before');
  async function* failing(): AsyncIterable<readonly Row[]> {
    yield [ROW];
    throw new Error('the file is gone');
  }
  await expect(writeCsv(file, failing())).rejects.toThrow('the file is gone');
  expect([await readFile(file, 'utf8'), await readdir(folder)]).toEqual(['before', ['calls.csv']]);
});

test('a folder that is not there is said', async () => {
  await expect(writeCsv(path.join(folder, 'no', 'calls.csv'), portions([ROW]))).rejects.toThrow('ENOENT');
});
