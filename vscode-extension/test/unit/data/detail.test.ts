/** One record as it is shown, its run, and the small files beside: names of segments, alerts. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NEWEST_FIRST, NO_FILTERS, type Detail, type Row } from '../../../shared/protocol';
import { Dataset, readAlerts } from '../../../src/data';
import { segmentName, segmentOf, segmentsOf } from '../../../src/data/segments';
import { call, run } from './lines';

const BEGIN = Date.UTC(2026, 10, 20, 10);
const iso = (time: number): string => new Date(time).toISOString();

let folder = '';
let dataset: Dataset;
let rows: readonly Row[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'detail-'));
  dataset = new Dataset({ folder, storage: null, workerFile: null });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function open(calls: readonly string[], runs: readonly string[] = []): Promise<void> {
  writeFileSync(join(folder, 'llm_calls.jsonl'), `${calls.join('\n')}\n`);
  writeFileSync(join(folder, 'workflow_details.jsonl'), runs.map((one) => `${one}\n`).join(''));
  await dataset.refresh();
  rows = (await dataset.page({ range: { name: 'all' }, filters: NO_FILTERS }, NEWEST_FIRST, 0, 50, true)).rows;
}

function drawn({ steps }: Detail): string[] {
  return steps.map((step) => `${'  '.repeat(step.depth)}${step.kind} ${step.name} ${step.begin - BEGIN}-${step.end - BEGIN}${step.placed ? '' : '?'} ${step.outcome}${step.here ? ' *' : ''}`);
}

describe('facts', () => {
  test('have neither secrets nor contents', async () => {
    await open([call({
      error_message: 'refused: api_key=sk-abcdefghijklmnop0123', metadata: { password: 'hunter2', note: 'see https://u:p@host/x?token=1', attune: { content: { input: 'PROMPT' }, source_file: 'app/flow.py', source_line: 12 } },
    })]);
    const { facts, code } = await dataset.detail(rows[0]!.key);
    const text = JSON.stringify(facts);
    for (const secret of ['sk-abcdef', 'hunter2', 'u:p@', 'token=1', 'PROMPT']) expect(text).not.toContain(secret);
    expect(facts.slice(0, 3).map(({ name }) => name)).toEqual(['Ended', 'Call', 'Workflow']);
    expect(facts.map(({ name }) => name)).toContain('note');
    expect(code).toEqual({ file: 'app/flow.py', line: 12 });
  });

  test('are the row of the list', async () => {
    await open([call({ success: false, error_type: 'timeout' })]);
    const { row, run: itsRun, code } = await dataset.detail(rows[0]!.key);
    expect(row).toEqual(rows[0]);
    expect(itsRun).toMatchObject({ name: 'code-review' });
    expect(code).toBeNull();
    expect(JSON.parse(await dataset.line(row.key))).toMatchObject({ error_type: 'timeout' });
  });

  test('of what is gone are none', async () => {
    await open([call()]);
    for (const key of [{ segment: 'llm_calls.jsonl', offset: 7 }, { segment: 'llm_calls.jsonl', offset: 1e9 }, { segment: '../secret.jsonl', offset: 0 }, { segment: 'llm_calls.00009.jsonl', offset: 0 }, { segment: 'llm_calls.jsonl', offset: -1 }]) {
      await expect(dataset.detail(key)).rejects.toThrow('this record is gone');
    }
  });
});

describe('the run of a call', () => {
  const stage = (name: string, more: object = {}): object => ({ stage_name: name, tier: 'cheap', model_id: 'm', cost: 0.5, latency_ms: 1000, success: true, ...more });
  const at = (name: string, time: number, more: object = {}): string => call({
    call_id: name, step_name: name, timestamp: iso(BEGIN + time), latency_ms: 500, metadata: { attune: { run_id: 'r1', pid: 1, ...more } },
  });

  test('is drawn with its stages, calls and inner runs', async () => {
    await open(
      [at('plan', 900, { stage_id: 's1' }), at('ask', 2500, { stage_id: 's2' }), at('alone', 3000), at('inner', 2900, { run_id: 'r2' })],
      [
        run({
          run_id: 'r1', started_at: iso(BEGIN), total_duration_ms: 4000, stages: [stage('plan'), stage('write'), stage('skip', { skipped: true, success: false })],
          metadata: { attune: { stages: [{ stage_id: 's1', started_at: iso(BEGIN + 100) }, { stage_id: 's2', started_at: iso(BEGIN + 2000), cancelled: true }, { stage_id: 's3', parent_stage_id: 's2' }] } },
        }),
        run({ run_id: 'r2', workflow_name: 'lookup', started_at: iso(BEGIN + 2600), total_duration_ms: 300, success: false, metadata: { attune: { parent_run_id: 'r1', parent_span_id: 's2' } } }),
      ],
    );
    const detail = await dataset.detail(rows.find(({ stage: name }) => name === 'ask')!.key);
    expect(detail.run).toEqual({ id: 'r1', name: 'code-review', begin: BEGIN, duration: 4000, cost: 0.5 });
    expect(drawn(detail)).toEqual([
      'run code-review 0-4000 ok',
      '  stage plan 100-1100 ok',
      '    call plan 400-900 ok',
      '  stage write 2000-3000 cancelled',
      '    call ask 2000-2500 ok *',
      '    run lookup 2600-2900 error',
      '      call inner 2400-2900 ok',
      '    stage skip 3000-4000? skipped',
      '  call alone 2500-3000 ok',
    ]);
  });

  test('of earlier writers has its stages one after the other, and its calls by name', async () => {
    await open([at('write', 1800)], [run({ run_id: 'r1', started_at: iso(BEGIN), total_duration_ms: 2000, stages: [stage('plan'), stage('write', { success: false })] })]);
    expect(drawn(await dataset.detail(rows[0]!.key))).toEqual([
      'run code-review 0-2000 ok', '  stage plan 0-1000? ok', '  stage write 1000-2000? error', '    call write 1300-1800 ok *',
    ]);
  });

  test('that left no record is made from its calls', async () => {
    await open([at('one', 1000), at('two', 3000)]);
    const detail = await dataset.detail(rows[1]!.key);
    expect(detail.run).toMatchObject({ id: 'r1', begin: BEGIN + 500, duration: 2500, cost: 2 * 0.001944 });
    expect(drawn(detail)).toEqual(['run code-review 500-3000 ok', '  call one 500-1000 ok *', '  call two 2500-3000 ok']);
  });

  test('that says it is inside itself is drawn all the same', async () => {
    const circle = { stages: [{ stage_id: 's1', parent_stage_id: 's2' }, { stage_id: 's2', parent_stage_id: 's1' }], parent_run_id: 'r1' };
    await open([at('one', 1000)], [run({ run_id: 'r1', started_at: iso(BEGIN), stages: [stage('a'), stage('b')], metadata: { attune: circle } })]);
    expect((await dataset.detail(rows[0]!.key)).steps).toHaveLength(4);
  });

  test('is none where the call has none', async () => {
    await open([call({ metadata: {} })]);
    expect(await dataset.detail(rows[0]!.key)).toMatchObject({ run: null, steps: [] });
  });
});

describe('alerts', () => {
  const NOW = BEGIN + 60_000;
  const alert = { rule: 'daily cost', severity: 'critical', status: 'firing', reason: 'condition', labels: { provider: 'openai', odd: 5 }, value: 12.5, condition: '> 10', since: iso(BEGIN), started_at: iso(BEGIN - 1000) };
  const status = { version: 1, evaluated_at: iso(BEGIN), stale_after: iso(BEGIN + 90_000), source: 'local', rules: 3, firing: [alert], pending: [alert], silenced: [{ ...alert, rule: 'quiet' }, { ...alert, status: 'pending' }], errors: [{ rule: 'bad', error: 'no such metric', failures: 2 }] };

  async function state(text: string | null, now = NOW): Promise<unknown> {
    if (text !== null) writeFileSync(join(folder, 'alerts.status.json'), text);
    return readAlerts(folder, now);
  }

  test('that fire are shown, with what is silenced', async () => {
    expect(await state(JSON.stringify(status))).toEqual({
      state: 'running', evaluatedAt: BEGIN, rules: 3, pending: 1, faults: ['bad: no such metric'],
      firing: [
        { rule: 'daily cost', severity: 'critical', condition: '> 10', value: 12.5, labels: { provider: 'openai' }, since: BEGIN - 1000, silenced: false },
        { rule: 'quiet', severity: 'critical', condition: '> 10', value: 12.5, labels: { provider: 'openai' }, since: BEGIN - 1000, silenced: true },
      ],
    });
    expect(await state(null, BEGIN + 91_000)).toMatchObject({ state: 'stale' });
  });

  test('without a watcher are none', async () => {
    expect(await state(null)).toEqual({ state: 'none' });
  });

  test.each(['', '[]', '{"version":2}', '{"version":1}', '{"version":1,"evaluated_at":"x","stale_after":"2026-01-01"}'])('of %s cannot be read', async (text) => {
    expect(await state(text)).toMatchObject({ state: 'unreadable', problem: expect.stringContaining('alerts.status.json') as string });
  });
});

describe('names of segments', () => {
  test.each([
    ['llm_calls.jsonl', -1, 0], ['llm_calls.00001.jsonl', -1, 1], ['llm_calls.w0.jsonl', 0, 0], ['workflow_runs.w12.00345.jsonl', 12, 345],
    ['llm_calls.100000.jsonl', -1, 100_000], ['llm_calls.w٣.jsonl', 3, 0],
  ])('%s', (name, slot, number) => {
    expect(segmentOf(name)).toMatchObject({ name, slot, number });
  });

  test.each(['llm_calls', 'llm_calls.1.jsonl', 'llm_calls.w.jsonl', 'llm_calls.w12345.jsonl', 'llm_calls.00001.w0.jsonl', 'my_llm_calls.jsonl', 'llm_calls.jsonl.gz', 'other.jsonl', 'llm_calls.jsonl\n'])('%j is none', (name) => {
    expect(segmentOf(name)).toBeNull();
  });

  test('stand by slot and number', () => {
    const names = ['llm_calls.w0.jsonl', 'llm_calls.00010.jsonl', 'llm_calls.00002.jsonl', 'workflow_runs.jsonl', 'llm_calls.jsonl', 'x'];
    expect(segmentsOf(names, 'llm_calls').map(({ name }) => name)).toEqual(['llm_calls.jsonl', 'llm_calls.00002.jsonl', 'llm_calls.00010.jsonl', 'llm_calls.w0.jsonl']);
    expect([segmentName('llm_calls', -1, 0), segmentName('llm_calls', 3, 17)]).toEqual(['llm_calls.jsonl', 'llm_calls.w3.00017.jsonl']);
  });
});
