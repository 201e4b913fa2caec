/** The columns are kept, and used again only where they are what the files say. */

import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NEWEST_FIRST, NO_FILTERS, type View } from '../../../shared/protocol';
import { Dataset } from '../../../src/data';
import { kept } from '../../../src/data/persist';
import { call, run } from './lines';

const ALL: View = { range: { name: 'all' }, filters: NO_FILTERS };
const NOW = Date.UTC(2026, 10, 23, 12);

let top = '';
let folder = '';
let storage = '';

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'persist-'));
  folder = join(top, 'records');
  storage = join(top, 'storage');
  for (const name of [folder, storage]) rmSync(name, { recursive: true, force: true });
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function dataset(workerFile: string | null = null): Dataset {
  return new Dataset({ folder, storage, workerFile, workersFrom: 1 << 20, now: () => NOW });
}

function write(): void {
  mkdirSync(folder);
  const old = { timestamp: '2026-01-11T03:47:00.400225', user_id: 'workflow', metadata: {} };
  const calls = [call(), call({ workflow_name: 'négligé', input_tokens: 5_000_000_000, estimated_cost: 1e-7 }), call(old),
    call({ ...old, user_id: null, metadata: { run_id: null } }), 'nonsense'];
  writeFileSync(join(folder, 'llm_calls.jsonl'), `${calls.join('\n')}\n`);
  writeFileSync(join(folder, 'llm_calls.00001.jsonl'), `${call({ attune: { unknown: ['estimated_cost'] } })}\n`);
  writeFileSync(join(folder, 'workflow_runs.jsonl'), `${run()}\n`);
}

async function seen(of: Dataset): Promise<unknown> {
  const { rows } = await of.page(ALL, NEWEST_FIRST, 0, 100, true);
  const overview = { ...of.overview(ALL, null, true), revision: 0 };
  return { rows, overview, notes: of.reading.notes };
}

async function keptFile(): Promise<string> {
  write();
  const first = dataset();
  await first.refresh();
  await first.close();
  return join(storage, readdirSync(storage)[0]!);
}

describe('what is kept', () => {
  test('is the same when it comes back, and what was appended is read', async () => {
    await keptFile();
    const fresh = new Dataset({ folder, storage: null, workerFile: null, now: () => NOW });
    await fresh.refresh();
    const again = dataset();
    await again.refresh();
    expect(await seen(again)).toEqual(await seen(fresh));
    expect(again.reading).toMatchObject({ records: 4, notes: { skippedLines: 1, duplicates: 1 } });
    appendFileSync(join(folder, 'llm_calls.00001.jsonl'), `${call({ workflow_name: 'new' })}\n`);
    const later = dataset();
    await later.refresh();
    await fresh.refresh();
    expect(await seen(later)).toEqual(await seen(fresh));
    expect(later.reading.records).toBe(5);
  });

  test('is one file, replaced as a whole', async () => {
    const path = await keptFile();
    const again = dataset();
    await again.refresh();
    appendFileSync(join(folder, 'llm_calls.jsonl'), `${call()}\n`);
    await again.refresh();
    await again.save();
    expect(readdirSync(storage)).toHaveLength(1);
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  test('leaves out a segment that is another', async () => {
    await keptFile();
    writeFileSync(join(folder, 'llm_calls.00001.jsonl'), `${call({ workflow_name: 'other' })}\n`);
    const found = await kept(storage, folder);
    expect([...found!.live.keys()].sort()).toEqual(['llm_calls.jsonl', 'workflow_runs.jsonl']);
    const again = dataset();
    await again.refresh();
    expect((await again.page(ALL, NEWEST_FIRST, 0, 9, true)).rows.filter(({ workflow }) => workflow === 'other')).toHaveLength(1);
  });

  test('does not count what is gone', async () => {
    await keptFile();
    rmSync(join(folder, 'llm_calls.jsonl'));
    const again = dataset();
    await again.refresh();
    expect(again.reading).toMatchObject({ records: 1, notes: { skippedLines: 0, duplicates: 0 } });
  });
});

describe('a file that is damaged', () => {
  test('anywhere is not used', async () => {
    const path = await keptFile();
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at += Math.max(1, Math.floor(whole.length / 200))) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x55;
      writeFileSync(path, damaged);
      const found = await kept(storage, folder);
      // The bytes of the prelude that mean nothing may be anything.
      expect(found === null || (at >= 12 && at < 16), String(at)).toBe(true);
    }
  });

  test.each([0, 3, 15, 100, -1])('by being cut at %s is not used', async (at) => {
    const path = await keptFile();
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, at < 0 ? whole.length + at : at));
    expect(await kept(storage, folder)).toBeNull();
    const again = dataset();
    await again.refresh();
    expect(again.reading.records).toBe(4);
  });

  test('or of another folder is not used', async () => {
    const path = await keptFile();
      const other = join(top, 'other');
    mkdirSync(other);
    const elsewhere = new Dataset({ folder: other, storage, workerFile: null });
    writeFileSync(join(other, 'llm_calls.jsonl'), `${call()}\n`);
    await elsewhere.refresh();
    await elsewhere.close();
    const theirs = readdirSync(storage).map((name) => join(storage, name)).find((one) => one !== path)!;
    copyFileSync(theirs, path);
    expect(await kept(storage, folder)).toBeNull();
  });
});

test('a storage that cannot be written is no harm', async () => {
  write();
  writeFileSync(storage, '');
  const one = dataset();
  await one.refresh();
  await one.close();
  expect(one.reading.records).toBe(4);
});

describe('big files', () => {
  let bundle = '';
  beforeAll(async () => {
    bundle = mkdtempSync(join(tmpdir(), 'worker-'));
    await build({
      entryPoints: [join(__dirname, '../../../src/worker.ts')], bundle: true, platform: 'node', format: 'cjs',
      outfile: join(bundle, 'worker.cjs'), logLevel: 'silent',
    });
  });
  afterAll(() => rmSync(bundle, { recursive: true, force: true }));

  function big(): void {
      mkdirSync(folder);
    const lines = Array.from({ length: 42_000 }, (_, i) => call({
      call_id: `c${i}`, timestamp: new Date(NOW - 86_400_000 + i * 1000).toISOString(), workflow_name: `w${i % 7}`,
      session_id: `s${i % 999}`, input_tokens: i, estimated_cost: i % 10 ? i / 1000 : undefined, success: i % 5 !== 0,
    }));
    writeFileSync(join(folder, 'llm_calls.jsonl'), `${lines.join('\n')}\n${call().slice(0, 50)}`);
    writeFileSync(join(folder, 'workflow_details.jsonl'), `${Array.from({ length: 50_000 }, (_, i) => run({ run_id: `r${i}`, workflow_name: `w${i % 7}`, error: 'x'.repeat(120) })).join('\n')}\n`);
  }

  test('are read by workers to the same columns, and so without them', async () => {
    big();
    const alone = new Dataset({ folder, storage: null, workerFile: null, now: () => NOW });
    const together = new Dataset({ folder, storage: null, workerFile: join(bundle, 'worker.cjs'), workersFrom: 1 << 20, now: () => NOW });
    const without = new Dataset({ folder, storage: null, workerFile: join(bundle, 'missing.cjs'), workersFrom: 1 << 20, now: () => NOW });
    const progress: number[] = [];
    await alone.refresh();
    await together.refresh((done) => progress.push(done));
    await without.refresh();
    expect(together.reading.records).toBe(42_000);
    expect(await seen(together)).toEqual(await seen(alone));
    expect(await seen(without)).toEqual(await seen(alone));
    expect(progress.at(-1)).toBeCloseTo(1, 2);
    expect(progress).toEqual([...progress].sort((one, other) => one - other));
  }, 120_000);

  test('are kept by themselves', async () => {
    big();
    const one = dataset(join(bundle, 'worker.cjs'));
    await one.refresh();
    expect(readdirSync(storage)).toHaveLength(1);
    utimesSync(join(folder, 'llm_calls.jsonl'), new Date(), new Date());
    const again = dataset();
    await again.refresh();
    expect(again.overview(ALL, null, false).totals).toEqual(one.overview(ALL, null, false).totals);
  }, 120_000);
});
