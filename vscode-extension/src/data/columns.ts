/** Parsed calls as columns: chunks of typed arrays that never grow beyond their size, and numbers for what repeats. */

import { grown, type Growable } from './growth';
import { Names } from './names';
import { Tuples } from './tuples';

/** Rows in a chunk at most: the lower half of a row's number. */
export const CHUNK_ROWS = 1 << 16;
const FIRST_ROWS = 256;
/** A whole number that does not fit into 32 bits stands in `Chunk.large`. */
export const LARGE = 0xffff_ffff;

/** What a series says, in the order of its tuple. */
export const SERIES = ['workflow', 'step', 'provider', 'model', 'tier', 'project', 'task', 'error'] as const;
export const WHO = ['user', 'session'] as const;
export const [WORKFLOW, STEP, PROVIDER, MODEL, TIER, PROJECT, TASK, ERROR] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
export const [USER, SESSION] = [0, 1] as const;

/** Bits of a row's flags. */
export const Flag = {
  error: 1 << 0,
  cancelled: 1 << 1,
  /** The second of an old duplicate pair. */
  duplicate: 1 << 2,
  test: 1 << 3,
  fallback: 1 << 4,
  truncated: 1 << 5,
  /** It cost nothing that could be known, because nothing was used. */
  costless: 1 << 6,
  /** May be one of an old duplicate pair: the one without a run, the one with it. */
  withoutRun: 1 << 7,
  withRun: 1 << 8,
  // What tells old duplicates apart beside what stands in the columns.
  inputUnknown: 1 << 9,
  outputUnknown: 1 << 10,
  noWorkflow: 1 << 11,
  noStep: 1 << 12,
  failed: 1 << 13,
} as const;
export const HALF = Flag.withoutRun | Flag.withRun;

/** Whole numbers of a row. */
export const COUNTS = ['input', 'output', 'latency', 'cacheRead', 'cacheWrite', 'reasoning', 'retries'] as const;
export type Count = (typeof COUNTS)[number];

export class Chunk {
  length = 0;
  /** Milliseconds since the epoch. */
  time: Float64Array<ArrayBuffer>;
  /** USD; NaN is not known. */
  cost: Float64Array<ArrayBuffer>;
  /** USD; NaN where it or the cost is not known. */
  baseline: Float64Array<ArrayBuffer>;
  /** Bytes from `base` to the beginning of the line. */
  place: Uint32Array<ArrayBuffer>;
  input: Uint32Array<ArrayBuffer>;
  output: Uint32Array<ArrayBuffer>;
  latency: Uint32Array<ArrayBuffer>;
  cacheRead: Uint32Array<ArrayBuffer>;
  cacheWrite: Uint32Array<ArrayBuffer>;
  reasoning: Uint32Array<ArrayBuffer>;
  retries: Uint32Array<ArrayBuffer>;
  series: Uint32Array<ArrayBuffer>;
  who: Uint32Array<ArrayBuffer>;
  /** Hash of the run's id; 0 is none. */
  run: Uint32Array<ArrayBuffer>;
  flags: Uint16Array<ArrayBuffer>;
  earliest = Infinity;
  latest = -Infinity;
  /** All flags that one of its rows has, but that of a duplicate. */
  marks = 0;
  readonly large = new Map<number, number>();

  /** `rows`: room for so many at first. */
  constructor(public base: number, rows = FIRST_ROWS) {
    this.time = new Float64Array(rows);
    this.cost = new Float64Array(rows);
    this.baseline = new Float64Array(rows);
    this.place = new Uint32Array(rows);
    this.input = new Uint32Array(rows);
    this.output = new Uint32Array(rows);
    this.latency = new Uint32Array(rows);
    this.cacheRead = new Uint32Array(rows);
    this.cacheWrite = new Uint32Array(rows);
    this.reasoning = new Uint32Array(rows);
    this.retries = new Uint32Array(rows);
    this.series = new Uint32Array(rows);
    this.who = new Uint32Array(rows);
    this.run = new Uint32Array(rows);
    this.flags = new Uint16Array(rows);
  }

  /** Forgets its rows, so that others can stand in the same room. */
  empty(base: number): void {
    this.base = base;
    this.length = 0;
    this.earliest = Infinity;
    this.latest = -Infinity;
    this.marks = 0;
    this.large.clear();
  }

  /** How many rows more it takes, of which the last begins at an offset. */
  room(offset: number): number {
    return offset - this.base < LARGE ? CHUNK_ROWS - this.length : 0;
  }

  /** Puts some of the rows behind its own. */
  append(rows: Rows, from: number, until: number): void {
    const at = this.length;
    const length = at + until - from;
    if (length > this.time.length) this.resize(length);
    const { earliest, latest, marks } = rows.settle(from, until, rows.origin - this.base);
    this.earliest = Math.min(this.earliest, earliest);
    this.latest = Math.max(this.latest, latest);
    this.marks |= marks;
    for (const name of COLUMNS) this[name].set(rows[name].subarray(from, until), at);
    for (const { row, column, value } of rows.large) if (row >= from && row < until) this.setLarge(column, at + row - from, value);
    this.length = length;
  }

  /** For a value that does not fit into its column. */
  private setLarge(column: Count, row: number, value: number): void {
    this[column][row] = LARGE;
    this.large.set(row * COUNTS.length + COUNTS.indexOf(column), value);
  }

  count(column: Count, row: number): number {
    const value = this[column][row]!;
    return value === LARGE ? this.large.get(row * COUNTS.length + COUNTS.indexOf(column))! : value;
  }

  offset(row: number): number {
    return this.base + this.place[row]!;
  }

  replace(name: Column, array: Growable): void {
    (this as unknown as Record<Column, Growable>)[name] = array;
  }

  private resize(rows: number): void {
    // Few steps: each leaves fifteen arrays to be collected, and room that is not used costs nothing.
    for (const name of COLUMNS) this.replace(name, grown<Growable>(this[name], Math.max(rows, this.time.length * 16), CHUNK_ROWS));
  }
}

export const COLUMNS = [
  'time', 'cost', 'baseline', 'place', 'input', 'output', 'latency', 'cacheRead', 'cacheWrite', 'reasoning', 'retries',
  'series', 'who', 'run', 'flags',
] as const;
export type Column = (typeof COLUMNS)[number];

/** Rows that are nobody's yet. */
export type Rows = { readonly [column in Column]: Chunk[column] } & {
  readonly length: number;
  /** Where in the file the places begin. */
  readonly origin: number;
  /** Moves the places of some, and says between which times they are and which flags one of them has. */
  settle(from: number, until: number, by: number): { readonly earliest: number; readonly latest: number; readonly marks: number };
  /** Counts that do not fit. */
  readonly large: readonly { readonly row: number; readonly column: Count; readonly value: number }[];
};

/** What the numbers in the columns mean. */
export class Dictionary {
  constructor(
    readonly names = new Names(),
    readonly series = new Tuples(SERIES.length),
    readonly who = new Tuples(WHO.length),
  ) {}

  /** A text of a series; the empty one where calls have none. */
  of(series: number, place: number): string {
    return this.names.text(this.series.at(series, place));
  }

  whose(who: number, place: number): string {
    return this.names.text(this.who.at(who, place));
  }
}
