/** Recognises the second of two records that earlier writers made of one call; see docs/figures.md. */

import * as C from './columns';
import { Flag, HALF, type Chunk, type Dictionary } from './columns';

const WINDOW = 64;
/** Milliseconds; a bit more than a tenth of a second, because times as doubles are no finer. */
const APART = 100.0005;
/** The error's type is not among what must be equal, and neither is the project: no earlier writer had one. */
const SAME_SERIES = [C.WORKFLOW, C.STEP, C.TASK, C.PROVIDER, C.TIER, C.MODEL] as const;
const SAME_FLAGS = Flag.inputUnknown | Flag.outputUnknown | Flag.noWorkflow | Flag.noStep | Flag.failed;

interface Half {
  readonly chunk: Chunk;
  readonly row: number;
}

/** The segments of one slot share one of these, in their order. */
export class Twins {
  private readonly free: Half[] = [];

  constructor(private readonly dictionary: Dictionary) {}

  /** Marks duplicates among the rows from one on; rows come in the order of the files. */
  mark(chunk: Chunk, from: number): void {
    if (!(chunk.marks & HALF)) return;
    const { flags } = chunk;
    for (let row = from; row < chunk.length; row++) {
      flags[row]! &= ~Flag.duplicate;
      if (flags[row]! & HALF && this.isSecond(chunk, row)) flags[row]! |= Flag.duplicate;
    }
  }

  private isSecond(chunk: Chunk, row: number): boolean {
    const place = this.free.findIndex((half) => this.isPair(half.chunk, half.row, chunk, row));
    if (place >= 0) {
      this.free.splice(place, 1);
      return true;
    }
    this.free.push({ chunk, row });
    if (this.free.length > WINDOW) this.free.shift();
    return false;
  }

  private isPair(one: Chunk, i: number, other: Chunk, j: number): boolean {
    if (!(Math.abs(one.time[i]! - other.time[j]!) <= APART)) return false;
    const mine = one.flags[i]!;
    const others = other.flags[j]!;
    if ((mine & HALF) === (others & HALF) || (mine & SAME_FLAGS) !== (others & SAME_FLAGS)) return false;
    if (one.count('input', i) !== other.count('input', j) || one.count('output', i) !== other.count('output', j)) return false;
    const cost = one.cost[i]!;
    const otherCost = other.cost[j]!;
    if (cost !== otherCost && !(Number.isNaN(cost) && Number.isNaN(otherCost))) return false;
    const { series } = this.dictionary;
    return one.series[i] === other.series[j] ||
      SAME_SERIES.every((place) => series.at(one.series[i]!, place) === series.at(other.series[j]!, place));
  }
}
