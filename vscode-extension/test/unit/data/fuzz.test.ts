/**
 * The byte scanner takes from a line what JSON.parse and the tolerant reading take, and skips the same lines.
 *
 * FUZZ_LINES=1000000 for all of it; the default is a sample.
 */

import { describe, expect, test } from 'vitest';
import { CallTable } from '../../../src/data/callTable';
import { COLUMNS, COUNTS, Dictionary } from '../../../src/data/columns';
import { callIn, runIn } from '../../../src/data/records';
import { RUN_COLUMNS, RunTable } from '../../../src/data/runTable';
import { Scan } from '../../../src/data/scan';
import { parserOf } from '../../../src/data/telemetryParser';
import { random, run, SHAPES } from './lines';

const LINES = Number(process.env.FUZZ_LINES ?? 20_000);
const AGAIN = 5_000;

const encoder = new TextEncoder();
const VALUES = [
  'NaN', 'Infinity', '-Infinity', '1e400', '-1e400', '1e308', '-0', '-0.0', '01', '1.', '.5', '+1', '1e5', '1E+2', '2e-7', '1.5', '0',
  '123456789012345', '1234567890123456', '9007199254740993', '9223372036854775807', '9223372036854775808', '4294967295', '-7',
  '0.1234567890123456789', '123456789012345678901234567890', 'true', 'false', 'null', '""', '"x"', '"\\u0041"', '"\\ud83e\\udd80"',
  '"\\ud83e"', '"\\udd80"', '"\\u0000"', '"a\\qb"', '"a\\', '[]', '{}', '[1,"a",null]', '["length"]', '["length",1]', '{"a":{"b":[[]]}}',
  '[1,]', '{"a":1,}', '{"a" 1}', '[' .repeat(300) + ']'.repeat(300), '['.repeat(1200) + ']'.repeat(1200), '"workflow"', '"none"', '"anthropic"',
  'nul', 'tru', 'fals', '"2026-11-20"', '"2026-11-20T10:00:00.5-00:30"', '"soon"', '{"run_id":null}', '{"attune":null}', '{"attune":{"run_id":5}}',
  '"\u00e9"', '"\u65e5"', '"' + 'x'.repeat(300) + '"',
].map((value) => encoder.encode(value));
const PIECES = [
  '"input_tokens":5,', '"success":false,', '"metadata":{},', '"call_id":"z",', '"t\\u0069er":"premium",', '"":1,', ' ', '\t', '\r', '\v', '\f',
  '\u00a0', '\ufeff', '\0', '\u007f', ',', ':', '"', '\\', '{', '}', '[', ']', '"attune":{"pid":1},', '"unknown":["input_tokens"],', '//', '\u2028',
].map((piece) => encoder.encode(piece)).concat([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]].map((bytes) => Uint8Array.from(bytes)));

class Mutator {
  private readonly random: () => number;
  private readonly shapes: Uint8Array[];

  constructor(seed: number, shapes: readonly string[]) {
    this.random = random(seed);
    this.shapes = shapes.map((shape) => encoder.encode(shape));
  }

  /** A line without newlines. */
  line(): Uint8Array {
    let bytes = this.one(this.shapes);
    for (let times = this.below(4); times > 0; times--) bytes = this.mutated(bytes);
    return bytes.map((byte) => (byte === 10 ? 32 : byte));
  }

  private mutated(bytes: Uint8Array): Uint8Array {
    const at = this.below(bytes.length + 1);
    switch (this.below(8)) {
      case 0:
        return spliced(bytes, at, 1, Uint8Array.of(this.below(256)));
      case 1:
        return spliced(bytes, at, 1 + this.below(4), new Uint8Array());
      case 2:
        return spliced(bytes, at, 0, this.one(PIECES));
      case 3:
        return spliced(bytes, this.afterMark(bytes, at), 0, this.one(PIECES));
      case 4:
        return bytes.slice(0, at);
      case 5:
        return spliced(bytes, bytes.length, 0, this.one(PIECES));
      default:
        return this.revalued(bytes, at);
    }
  }

  /** Another value behind one of the colons. */
  private revalued(bytes: Uint8Array, near: number): Uint8Array {
    const colon = bytes.indexOf(58, near);
    if (colon < 0) return bytes;
    let end = colon + 1;
    const closing = bytes[end] === 34 ? 34 : bytes[end] === 91 ? 93 : bytes[end] === 123 ? 125 : 44;
    end += Number(closing !== 44);
    while (end < bytes.length && bytes[end] !== closing && (closing !== 44 || bytes[end] !== 125)) end++;
    return spliced(bytes, colon + 1, end - colon - 1 + Number(closing !== 44), this.one(VALUES));
  }

  private afterMark(bytes: Uint8Array, near: number): number {
    const comma = bytes.indexOf(44, near);
    return comma < 0 ? Math.min(1, bytes.length) : comma + 1;
  }

  private one(from: readonly Uint8Array[]): Uint8Array {
    return from[this.below(from.length)]!;
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }
}

function spliced(bytes: Uint8Array, at: number, without: number, piece: Uint8Array): Uint8Array {
  const after = bytes.subarray(Math.min(bytes.length, at + without));
  const made = new Uint8Array(at + piece.length + after.length);
  made.set(bytes.subarray(0, at));
  made.set(piece, at);
  made.set(after, at + piece.length);
  return made;
}

function ended(line: Uint8Array): Uint8Array {
  return spliced(line, line.length, 0, Uint8Array.of(10));
}

describe('the byte scanner', () => {
  test(`equals JSON.parse on ${LINES} mutated calls`, { timeout: 600_000 }, () => {
    const mutator = new Mutator(20261123, SHAPES);
    let dictionary = new Dictionary();
    let quick = new CallTable(dictionary);
    let slow = new CallTable(dictionary);
    let parse = parserOf(quick);
    let scan = new Scan(dictionary);
    let scanned = 0;
    let skipped = 0;
    for (let i = 0; i < LINES; i++) {
      if (i % AGAIN === 0) {
        dictionary = new Dictionary();
        quick = new CallTable(dictionary);
        slow = new CallTable(dictionary);
        parse = parserOf(quick);
        scan = new Scan(dictionary);
      }
      const line = mutator.line();
      const whole = ended(line);
      scan.load(whole);
      scanned += Number(scan.readCalls(0, whole.length) === whole.length);
      scan.takeCalls(0);
      const record = callIn(line);
      if (record) scan.addCall(record, 0);
      else skipped += 1;
      slow.append(scan.takeCalls(0));
      parse(whole, whole.length, 0);
      const problem = difference(quick, slow);
      if (problem) expect.fail(`${problem}: ${new TextDecoder().decode(line)}`);
    }
    // Most lines are read the quick way, many are none, and the rest is read the slow way.
    expect(scanned).toBeGreaterThan(LINES / 4);
    expect(skipped).toBeGreaterThan(LINES / 10);
    expect(scanned + skipped).toBeLessThan(LINES * 0.95);
  });

  test(`equals JSON.parse on ${LINES / 10} mutated runs`, { timeout: 600_000 }, () => {
    const shapes = [
      run(), run({ metadata: { attune: { parent_run_id: 'p', under_pytest: true, stages: [{ cancelled: true }] } } }),
      run({ stages: [{ stage_name: 'négligé', tier: 'cheap', model_id: 'm', cost: 1e-5 }], workflow_name: '日本' }),
      '{"run_id": "r2", "workflow_name": "x", "started_at": "2026-11-20T10:00:00.123", "stages": [{"a": "\\u00e9"}]}',
    ];
    const mutator = new Mutator(7, shapes);
    const dictionary = new Dictionary();
    const quick = new RunTable(dictionary);
    const slow = new RunTable(dictionary);
    const parse = parserOf(quick);
    for (let i = 0; i < LINES / 10; i++) {
      const line = mutator.line();
      const whole = ended(line);
      const record = runIn(line);
      if (record) slow.addRecord(record, 0);
      parse(whole, whole.length, 0);
      const row = slow.length - 1;
      const same = quick.length === slow.length && RUN_COLUMNS.every((name) => Object.is(quick[name][row], slow[name][row]));
      if (!same) expect.fail(`${quick.length} ${slow.length}: ${new TextDecoder().decode(line)}`);
    }
    expect(slow.length).toBeGreaterThan(LINES / 100);
    expect(slow.length).toBeLessThan(LINES / 10);
  });
});

function difference(quick: CallTable, slow: CallTable): string | null {
  if (quick.length !== slow.length) return `${quick.length} rows and not ${slow.length}`;
  const one = quick.chunks.at(-1);
  const other = slow.chunks.at(-1);
  if (!one || !other) return null;
  const row = one.length - 1;
  const column = COLUMNS.find((name) => one[name][row] !== other[name][row] && !(Number.isNaN(one[name][row]) && Number.isNaN(other[name][row])));
  if (column) return `${column} is ${one[column][row]} and not ${other[column][row]}`;
  const count = COUNTS.find((name) => one.count(name, row) !== other.count(name, row));
  return count ? `${count} is ${one.count(count, row)} and not ${other.count(count, row)}` : null;
}
