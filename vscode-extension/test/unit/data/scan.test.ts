/** The scanner's rooms are small and shared: nothing of what passes through them is lost, mixed up or put out of order. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compiled } from '../../../scanner.mjs';
import { CallTable } from '../../../src/data/callTable';
import { Dictionary, PROVIDER, SESSION, WORKFLOW } from '../../../src/data/columns';
import { hashOf } from '../../../src/data/names';
import { RunTable } from '../../../src/data/runTable';
import { parserOf } from '../../../src/data/telemetryParser';
import { call, run } from './lines';

const encoder = new TextEncoder();

function read(table: CallTable | RunTable, lines: readonly string[], offset = 0): number {
  const bytes = encoder.encode(lines.map((line) => `${line}\n`).join(''));
  return parserOf(table)(bytes, bytes.length, offset);
}

interface Found {
  readonly offset: number;
  readonly input: number;
  readonly workflow: string;
  readonly session: string;
}

interface Given {
  readonly input_tokens: number;
  readonly workflow_name?: string;
  readonly session_id?: string;
}

function rowsOf(table: CallTable): Found[] {
  const { dictionary } = table;
  return table.chunks.flatMap((chunk) => Array.from({ length: chunk.length }, (_, row) => ({
    offset: chunk.offset(row),
    input: chunk.count('input', row),
    workflow: dictionary.of(chunk.series[row]!, WORKFLOW),
    session: dictionary.whose(chunk.who[row]!, SESSION),
  })));
}

/** Where each line begins. */
function offsetsOf(lines: readonly string[], from = 0): number[] {
  let offset = from;
  return lines.map((line) => (offset += encoder.encode(line).length + 1) - encoder.encode(line).length - 1);
}

test('the scanner that is checked in is what its sources compile to', async () => {
  const checkedIn = await readFile(join(__dirname, '../../../src/data/scanner.generated.ts'), 'utf8');
  expect(await compiled()).toBe(checkedIn);
}, 60_000);

describe('calls', () => {
  test.each([
    ['more rows than are held at once', 20_000, (i: number) => ({ input_tokens: i })],
    ['more texts than have a number', 20_000, (i: number) => ({ input_tokens: i, workflow_name: `w${i}`, session_id: `s${i}` })],
    ['more combinations than have a number', 20_000, (i: number) => ({ input_tokens: i, workflow_name: `w${i % 200}`, step_name: `s${i % 199}` })],
    ['long texts', 40, (i: number) => ({ input_tokens: i, workflow_name: `${i}${'x'.repeat(60_000)}` })],
    ['texts that only the slow way reads', 30_000, (i: number) => ({ input_tokens: i, workflow_name: i % 2 ? `w"${i}` : `w${i}` })],
    ['numbers that fit into no column', 3_000, (i: number) => ({ input_tokens: i % 3 ? i : 5_000_000_000 + i })],
  ])('%s', (_, count, of) => {
    const made = Array.from({ length: count }, (_, i): Given => of(i));
    const lines = made.map((values) => call({ ...values }));
    const table = new CallTable(new Dictionary());
    expect(read(table, lines, 7)).toBe(0);
    const offsets = offsetsOf(lines, 7);
    expect(rowsOf(table)).toEqual(made.map((values, i) => ({
      offset: offsets[i], input: values.input_tokens, workflow: values.workflow_name ?? 'code-review', session: values.session_id ?? 'ivan-3ccb2',
    })));
  });

  test('keep their order around lines that are longer than the scanner can hold', () => {
    const lines = [
      call({ input_tokens: 1 }), call({ input_tokens: 2, note: 'n'.repeat(3_000_000) }), 'no record', call({ input_tokens: 3, note: 'é'.repeat(600_000) }),
      call({ input_tokens: 4 }),
    ];
    const table = new CallTable(new Dictionary());
    expect(read(table, lines)).toBe(1);
    expect(rowsOf(table).map((row) => row.input)).toEqual([1, 2, 3, 4]);
    const offsets = offsetsOf(lines);
    expect(rowsOf(table).map((row) => row.offset)).toEqual([0, 1, 3, 4].map((place) => offsets[place]));
  });

  test('of two tables that are read in turns keep their names apart', () => {
    const [one, other] = [new CallTable(new Dictionary()), new CallTable(new Dictionary())];
    const [parseOne, parseOther] = [parserOf(one), parserOf(other)];
    for (let i = 0; i < 20; i++) {
      const mine = encoder.encode(`${call({ workflow_name: `one${i % 3}`, provider: 'p' })}\n`);
      const its = encoder.encode(`${call({ workflow_name: `other${i % 5}`, session_id: `s${i}` })}\n`);
      parseOne(mine, mine.length, 0);
      parseOther(its, its.length, 0);
    }
    expect(rowsOf(one).map((row) => row.workflow)).toEqual(Array.from({ length: 20 }, (_, i) => `one${i % 3}`));
    expect(rowsOf(other).map((row) => `${row.workflow} ${row.session}`)).toEqual(Array.from({ length: 20 }, (_, i) => `other${i % 5} s${i}`));
    expect(one.dictionary.of(one.chunks[0]!.series[0]!, PROVIDER)).toBe('p');
  });

  test('a new chunk begins where the places of the last one would not fit', () => {
    const table = new CallTable(new Dictionary());
    const far = 2 ** 33;
    read(table, [call({ input_tokens: 1 })], 0);
    read(table, [call({ input_tokens: 2 })], far);
    expect(table.chunks).toHaveLength(2);
    expect(rowsOf(table).map((row) => row.offset)).toEqual([0, far]);
  });

  test.each(['', 'a', 'abcd', 'abcde', 'abcdefgh', 'é日本🦀', 'abcdefghijklmnopqrstuvwxyz'])('the run %j is found by the hash that the slow way makes', (id) => {
    const lines = [call({ metadata: { run_id: id } }), call({ metadata: { run_id: id }, task_type: 'a"b' })];
    const table = new CallTable(new Dictionary());
    expect(read(table, lines)).toBe(0);
    const bytes = encoder.encode(id);
    const hash = id ? hashOf(bytes, 0, bytes.length) || 1 : 0;
    expect([...table.chunks[0]!.run.subarray(0, 2)]).toEqual([hash, hash]);
  });
});

test('runs of either way keep their order', () => {
  const lines = Array.from({ length: 10_000 }, (_, i) => run({ run_id: `r${i}`, workflow_name: i % 7 ? `w${i % 50}` : `w"${i % 50}` }));
  const table = new RunTable(new Dictionary());
  expect(read(table, lines, 3)).toBe(0);
  expect([...table.offset.subarray(0, table.length)]).toEqual(offsetsOf(lines, 3));
  const names = Array.from(table.workflow.subarray(0, table.length), (name) => table.dictionary.names.text(name));
  expect(names).toEqual(lines.map((_, i) => (i % 7 ? `w${i % 50}` : `w"${i % 50}`)));
});
