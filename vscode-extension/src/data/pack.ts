/** Tables and dictionaries as plain values and typed arrays, to be sent from a worker or written to a file. */

import { CallTable } from './callTable';
import { Chunk, COLUMNS, Dictionary, SERIES, WHO } from './columns';
import type { Growable } from './growth';
import { Names } from './names';
import { RUN_COLUMNS, RunTable } from './runTable';
import { Tuples } from './tuples';

interface PackedChunk {
  readonly base: number;
  readonly length: number;
  readonly earliest: number;
  readonly latest: number;
  readonly marks: number;
  readonly large: readonly (readonly [key: number, value: number])[];
}

/** What can be written as JSON; the arrays stand apart, in a fixed order. */
export interface PackedTable {
  readonly kind: 'calls' | 'runs';
  readonly hasLocalTimes: boolean;
  /** Of runs. */
  readonly length: number;
  readonly chunks: readonly PackedChunk[];
}

export interface PackedDictionary {
  readonly names: number;
  readonly series: number;
  readonly who: number;
}

export interface Packed<T> {
  readonly plain: T;
  readonly arrays: Growable[];
}

export function packTable(table: CallTable | RunTable): Packed<PackedTable> {
  const { hasLocalTimes } = table;
  if (!(table instanceof CallTable)) {
    const arrays = RUN_COLUMNS.map((name): Growable => table[name].subarray(0, table.length));
    return { plain: { kind: 'runs', hasLocalTimes, length: table.length, chunks: [] }, arrays };
  }
  const chunks = table.chunks.map(({ base, length, earliest, latest, marks, large }) => ({ base, length, earliest, latest, marks, large: [...large] }));
  // Flags change when a duplicate is recognised; all else stays as it is once it is there.
  const arrays = table.chunks.flatMap((chunk) => COLUMNS.map((name): Growable =>
    name === 'flags' ? chunk.flags.slice(0, chunk.length) : chunk[name].subarray(0, chunk.length)));
  return { plain: { kind: 'calls', hasLocalTimes, length: 0, chunks }, arrays };
}

/** Takes the arrays of the table off the front of the list. */
export function unpackTable(plain: PackedTable, arrays: Growable[], dictionary: Dictionary): CallTable | RunTable {
  const table = plain.kind === 'calls' ? new CallTable(dictionary) : new RunTable(dictionary);
  table.hasLocalTimes = plain.hasLocalTimes;
  if (table instanceof RunTable) {
    table.length = plain.length;
    for (const name of RUN_COLUMNS) table.replace(name, taken(arrays, table[name]));
    return table;
  }
  for (const { base, length, earliest, latest, marks, large } of plain.chunks) {
    const chunk = new Chunk(base);
    chunk.length = length;
    chunk.earliest = earliest;
    chunk.latest = latest;
    chunk.marks = marks;
    for (const [key, value] of large) chunk.large.set(key, value);
    for (const name of COLUMNS) chunk.replace(name, taken(arrays, chunk[name]));
    table.chunks.push(chunk);
  }
  return table;
}

export const DICTIONARY_ARRAYS = 4;

export function packDictionary({ names, series, who }: Dictionary): Packed<PackedDictionary> {
  return {
    plain: { names: names.size, series: series.size, who: who.size },
    arrays: [names.bytes(), names.lengths(), series.all(), who.all()],
  };
}

export function unpackDictionary(plain: PackedDictionary, arrays: Growable[]): Dictionary {
  const pool = taken(arrays, new Uint8Array());
  const ends = taken(arrays, new Uint32Array());
  return new Dictionary(
    new Names(pool, ends, plain.names),
    new Tuples(SERIES.length, taken(arrays, new Uint32Array()), plain.series),
    new Tuples(WHO.length, taken(arrays, new Uint32Array()), plain.who),
  );
}

/** Throws where the next array is not of the kind of this one. */
function taken<T extends Growable>(arrays: Growable[], like: T): T {
  const array = arrays.shift();
  if (array?.constructor !== like.constructor) throw new TypeError('the columns are of another kind');
  return array as T;
}

/** Puts the rows of a table that was read with another dictionary behind those of this one. */
export function adopt(into: CallTable | RunTable, from: CallTable | RunTable): void {
  into.hasLocalTimes ||= from.hasLocalTimes;
  const meaning = new Translation(from.dictionary, into.dictionary);
  if (into instanceof CallTable && from instanceof CallTable) {
    for (const chunk of from.chunks) {
      translate(chunk.series, chunk.length, meaning.series);
      translate(chunk.who, chunk.length, meaning.who);
      into.chunks.push(chunk);
    }
  } else if (into instanceof RunTable && from instanceof RunTable) {
    translate(from.workflow, from.length, meaning.names);
    into.append(from);
  }
}

class Translation {
  readonly names: Uint32Array;
  readonly series: Uint32Array;
  readonly who: Uint32Array;

  constructor(from: Dictionary, to: Dictionary) {
    this.names = Uint32Array.from({ length: from.names.size }, (_, code) => to.names.of(from.names.text(code)));
    this.series = this.tuples(from.series, to.series);
    this.who = this.tuples(from.who, to.who);
  }

  private tuples(from: Tuples, to: Tuples): Uint32Array {
    const ids: number[] = [];
    to.learn(from.all(), from.size, this.names, ids);
    return Uint32Array.from(ids);
  }
}

function translate(column: Uint32Array, length: number, meaning: Uint32Array): void {
  for (let row = 0; row < length; row++) column[row] = meaning[column[row]!]!;
}
