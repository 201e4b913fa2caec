/** All that was read, at one time: what every answer is made from. */

import type { Notes } from '../../shared/protocol';
import { Flag, HALF, type Chunk, type Dictionary } from './columns';
import type { Runs } from './runs';

export interface Snapshot {
  readonly revision: number;
  readonly dictionary: Dictionary;
  /** In the order of the files. */
  readonly chunks: readonly Chunk[];
  /** By chunk: the file it was read from. */
  readonly segments: readonly string[];
  readonly runs: Runs;
  readonly notes: Notes;
  /** Calls there are; the second ones of old duplicate pairs are none. */
  readonly records: number;
}

/** When the first call ended, also one that does not count; null where there is none. */
export function oldestIn(snapshot: Snapshot): number | null {
  let oldest = Infinity;
  for (const chunk of snapshot.chunks) if (chunk.earliest < oldest) oldest = chunk.earliest;
  return oldest === Infinity ? null : oldest;
}

export interface LeftOut {
  /** Second ones of old duplicate pairs. */
  readonly duplicates: number;
  /** Made under pytest. */
  readonly tests: number;
}

export const NOTHING_LEFT_OUT: LeftOut = { duplicates: 0, tests: 0 };

/** Of a chunk: what is left out of its rows before one, and of those from it on. */
export function leftOut(chunk: Chunk, from: number, before: LeftOut = NOTHING_LEFT_OUT): LeftOut {
  if (!(chunk.marks & (HALF | Flag.test))) return before;
  let { duplicates, tests } = before;
  for (let row = from; row < chunk.length; row++) {
    const flags = chunk.flags[row]!;
    if (flags & Flag.duplicate) duplicates += 1;
    else if (flags & Flag.test) tests += 1;
  }
  return { duplicates, tests };
}
