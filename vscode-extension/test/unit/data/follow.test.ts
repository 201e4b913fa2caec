/** A folder is followed whatever happens to its files, and each record counts once. */

import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NEWEST_FIRST, NO_FILTERS, type View } from '../../../shared/protocol';
import { archive, Dataset } from '../../../src/data';
import { call, run } from './lines';
import { NEEDS_PYTHON, PYTHON, python } from './python';

const ALL: View = { range: { name: 'all' }, filters: NO_FILTERS };

let folder = '';
let dataset: Dataset;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'follow-'));
  dataset = new Dataset({ folder, storage: null, workerFile: null });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function path(name = 'llm_calls.jsonl'): string {
  return join(folder, name);
}

function lines(...costs: number[]): string {
  return costs.map((estimated_cost) => `${call({ call_id: `call-${estimated_cost}`, estimated_cost })}\n`).join('');
}

function cost(): number {
  return dataset.overview(ALL, null, false).totals.cost;
}

describe('what is appended', () => {
  test('is read, and nothing else again', async () => {
    writeFileSync(path(), lines(1, 2));
    expect(await dataset.refresh()).toBe(true);
    expect(await dataset.refresh()).toBe(false);
    const { revision } = dataset.reading;
    appendFileSync(path(), lines(4));
    expect(await dataset.refresh()).toBe(true);
    expect(cost()).toBe(7);
    expect(dataset.reading).toMatchObject({ records: 3, revision: revision + 1 });
  });

  test('counts when its line has ended', async () => {
    writeFileSync(path(), lines(1) + lines(2).slice(0, 100));
    await dataset.refresh();
    expect(cost()).toBe(1);
    appendFileSync(path(), lines(2).slice(100, -1));
    expect(await dataset.refresh()).toBe(false);
    appendFileSync(path(), '\n');
    expect(await dataset.refresh()).toBe(true);
    expect(cost()).toBe(3);
  });

  test('goes on in the next segment', async () => {
    writeFileSync(path(), lines(1));
    await dataset.refresh();
    writeFileSync(path('llm_calls.00001.jsonl'), lines(2));
    writeFileSync(path('llm_calls.w3.jsonl'), lines(4));
    await dataset.refresh();
    expect(cost()).toBe(7);
  });

  test('completes an old duplicate pair', async () => {
    const old = { timestamp: '2026-01-11T03:47:00.400225', estimated_cost: 1 };
    writeFileSync(path(), `${call({ ...old, user_id: 'workflow', metadata: {} })}\n`);
    await dataset.refresh();
    appendFileSync(path(), `${call({ ...old, user_id: null, metadata: { run_id: null } })}\n${lines(4)}`);
    await dataset.refresh();
    expect(cost()).toBe(5);
    expect(dataset.reading).toMatchObject({ records: 2, notes: { duplicates: 1 } });
  });

  test('is found by looks that come together', async () => {
    writeFileSync(path(), lines(1));
    const looks = [dataset.refresh(), dataset.refresh(), dataset.refresh()];
    expect(await Promise.all(looks)).toEqual([true, true, true]);
    expect(dataset.reading.revision).toBe(1);
  });
});

describe('a segment that is not what it was', () => {
  test('is read anew where it was cut', async () => {
    writeFileSync(path(), lines(1, 2, 4));
    await dataset.refresh();
    truncateSync(path(), lines(1).length);
    expect(await dataset.refresh()).toBe(true);
    expect(cost()).toBe(1);
  });

  test('is read anew where it was cut and is as long again', async () => {
    writeFileSync(path(), lines(1, 2));
    await dataset.refresh();
    writeFileSync(path(), lines(3, 8));
    utimesSync(path(), new Date(), new Date(Date.now() + 5000));
    await dataset.refresh();
    expect(cost()).toBe(11);
  });

  test('is read anew where another took its place', async () => {
    writeFileSync(path(), lines(1, 2));
    await dataset.refresh();
    writeFileSync(path('other'), lines(8, 16, 32));
    renameSync(path('other'), path());
    await dataset.refresh();
    expect(cost()).toBe(56);
    expect(dataset.reading.records).toBe(3);
  });

  test('does not count when it was deleted', async () => {
    writeFileSync(path(), lines(1));
    writeFileSync(path('llm_calls.00001.jsonl'), lines(2));
    await dataset.refresh();
    rmSync(path());
    await dataset.refresh();
    expect(cost()).toBe(2);
    rmSync(path('llm_calls.00001.jsonl'));
    expect(await dataset.refresh()).toBe(true);
    expect(dataset.reading.records).toBe(0);
    writeFileSync(path(), lines(4));
    await dataset.refresh();
    expect(cost()).toBe(4);
  });
});

describe('a folder', () => {
  test('may come later, and go', async () => {
    rmSync(folder, { recursive: true });
    expect(await dataset.refresh()).toBe(true);
    expect(dataset.state()).toEqual({ state: 'missing', problem: null });
    expect(await dataset.refresh()).toBe(false);
    mkdirSync(folder);
    writeFileSync(path(), lines(1));
    expect(await dataset.refresh()).toBe(true);
    expect(dataset.state().state).toBe('ready');
    rmSync(folder, { recursive: true });
    expect(await dataset.refresh()).toBe(true);
    expect(dataset.reading.records).toBe(0);
  });

  test('that is a file cannot be read', async () => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    await dataset.refresh();
    expect(dataset.state()).toMatchObject({ state: 'unreadable', problem: expect.stringContaining('ENOTDIR') as string });
  });

  test('with a segment that is none says so and reads the others', async () => {
    mkdirSync(path());
    await dataset.refresh();
    expect(dataset.state()).toMatchObject({ state: 'unreadable', problem: expect.stringContaining('llm_calls.jsonl') as string });
    writeFileSync(path('llm_calls.00001.jsonl'), lines(2));
    await dataset.refresh();
    expect(dataset.state()).toMatchObject({ state: 'ready', problem: expect.stringContaining('llm_calls.jsonl') as string });
    expect(cost()).toBe(2);
  });

  test.skipIf(process.platform === 'win32')('with a pipe in it does not wait for whoever never writes', async () => {
    const made = spawn('mkfifo', [path()]);
    await new Promise((resolve) => made.on('exit', resolve));
    await dataset.refresh();
    expect(dataset.state().problem).toContain('not a regular file');
  });
});

describe('lines that are no records', () => {
  test('are counted, blank ones not', async () => {
    writeFileSync(path(), `${lines(1)}nonsense\n\n  \t\r\n{}\n${lines(2)}`);
    writeFileSync(path('workflow_runs.jsonl'), `${run()}\n{"run_id":"x"}\n`);
    await dataset.refresh();
    expect(dataset.reading).toMatchObject({ records: 2, notes: { skippedLines: 3 } });
  });

  test('of 50 MB are passed over, and of 15 MB read', async () => {
    const long = (size: number): string => call({ estimated_cost: 2, error_message: 'x'.repeat(size) });
    writeFileSync(path(), `${lines(1)}${long(50_000_000)}\n${long(15_000_000)}\n${lines(4)}`);
    await dataset.refresh();
    expect(cost()).toBe(7);
    expect(dataset.reading.notes.skippedLines).toBe(1);
    const { rows } = await dataset.page(ALL, NEWEST_FIRST, 0, 10, false);
    const details = await Promise.all(rows.map(({ key }) => dataset.line(key)));
    expect(details.map((text) => text.length).sort((one, other) => other - one)[0]).toBeGreaterThan(15_000_000);
  }, 60_000);
});

describe('the archive', () => {
  test('empties the live figures, and late lines come back', async () => {
    writeFileSync(path(), lines(1, 2));
    writeFileSync(path('workflow_runs.jsonl'), `${run()}\n`);
    await dataset.refresh();
    const { moved } = await archive(folder, {}, {
      settle: async () => {
        expect(await dataset.refresh()).toBe(true);
        appendFileSync(join(folder, 'archive', `.${stamp()}`, 'llm_calls.jsonl'), lines(8));
      },
      now: Date.UTC(2026, 10, 20),
    });
    expect(moved.sort()).toEqual(['llm_calls.jsonl', 'workflow_runs.jsonl']);
    await dataset.refresh();
    expect(cost()).toBe(8);
    expect(dataset.reading.records).toBe(1);
  });

  test.skipIf(!PYTHON)(`of the command line empties them as well${NEEDS_PYTHON}`, async () => {
    writeFileSync(path(), lines(1, 2));
    await dataset.refresh();
    await python('import sys; from attune_monitoring.cli import main; main(sys.argv[1:])', ['telemetry', 'archive', '--dir', folder, '--yes']);
    expect(existsSync(path())).toBe(false);
    expect(await dataset.refresh()).toBe(true);
    expect(dataset.reading.records).toBe(0);
    appendFileSync(path(), lines(16));
    await dataset.refresh();
    expect(cost()).toBe(16);
  }, 60_000);
});

const WRITER = `
const { appendFileSync } = require('node:fs');
const [path, count, line] = process.argv.slice(1);
for (let i = 0; i < Number(count); i++) appendFileSync(path, line);
`;

test('four writers at once are all read', async () => {
  const count = 300;
  const writers = Array.from({ length: 4 }, () => spawn(process.execPath, ['-e', WRITER, path(), String(count), lines(1)]));
  const ended = Promise.all(writers.map((writer) => new Promise((resolve) => writer.on('exit', resolve))));
  let over = false;
  void ended.then(() => (over = true));
  while (!over) {
    await dataset.refresh();
    await new Promise(setImmediate);
  }
  await dataset.refresh();
  expect(statSync(path()).size).toBe(4 * count * lines(1).length);
  expect(dataset.reading).toMatchObject({ records: 4 * count, notes: { skippedLines: 0 } });
  expect(cost()).toBe(4 * count);
}, 60_000);

function stamp(): string {
  return '20261120T000000Z';
}
