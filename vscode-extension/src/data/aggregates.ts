/** Rows to figures: of everything, by group and by part of the period, in one pass. */

import type { Figures } from '../../shared/protocol';
import * as C from './columns';
import { Flag, LARGE, type Chunk, type Count, type Dictionary } from './columns';
import { outcomeOf, type Filter } from './filter';
import { grown } from './growth';
import type { Period } from './periods';

const SUMS = [
  'calls', 'ok', 'error', 'cancelled', 'cost', 'unknownCost', 'baseline', 'savings', 'input', 'output', 'cacheRead', 'cacheWrite',
  'reasoning', 'retries', 'fallbacks', 'truncated', 'latency',
] as const;
const WIDTH = SUMS.length;

/** Sums over calls; `latency` is of those that went well. */
export class Sums {
  private readonly values = new Float64Array(WIDTH);

  add(more: Float64Array): void {
    for (let i = 0; i < WIDTH; i++) this.values[i]! += more[i]!;
  }

  get calls(): number {
    return this.values[0]!;
  }

  get cost(): number {
    return this.values[4]!;
  }

  get unknownCost(): number {
    return this.values[5]!;
  }

  figures(): Figures {
    const [calls = 0, ok = 0, error = 0, cancelled = 0, cost = 0, unknownCost = 0, baseline = 0, savings = 0, input = 0, output = 0,
      cacheRead = 0, cacheWrite = 0, reasoning = 0, retries = 0, fallbacks = 0, truncated = 0, latency = 0] = this.values;
    return {
      calls, ok, error, cancelled, cost, unknownCost, baseline, savings,
      savingsPercent: baseline === 0 ? null : (100 * savings) / baseline,
      input, output, cacheRead, cacheWrite, reasoning, retries, fallbacks, truncated,
      successRate: ok + error === 0 ? null : (100 * ok) / (ok + error),
      averageLatency: ok === 0 ? null : latency / ok,
    };
  }
}

/** Cells that were met last are found by number, without the map: most rows are of few of them. A power of two. */
const RECENT = 4096;

/** Sums by part of the period, group of series and outcome, with the numbers of calls that the filters left alone or not. */
export class Cells {
  /** By series, of the period: calls that count, whatever the filters. */
  readonly unfiltered: Uint32Array;
  private readonly cells = new Map<number, number>();
  private values = new Float64Array(WIDTH * 64);
  private count = 0;
  private readonly recentKeys = new Float64Array(RECENT).fill(-1);
  private readonly recentCells = new Uint32Array(RECENT);

  constructor(
    dictionary: Dictionary,
    /** By series: its group. */
    private readonly groups: Uint32Array,
    private readonly groupCount: number,
    private readonly parts: readonly Period[],
  ) {
    this.unfiltered = new Uint32Array(dictionary.series.size);
  }

  addAll(chunks: Iterable<Chunk>, filter: Filter): void {
    for (const chunk of chunks) if (filter.reaches(chunk)) this.addChunk(chunk, filter);
  }

  /** Each cell: its part, its group, its outcome as `outcomeOf` numbers it, and its sums. */
  *all(): Generator<readonly [part: number, group: number, outcome: number, sums: Float64Array]> {
    for (const [key, cell] of this.cells) {
      const pair = Math.floor(key / 3);
      yield [Math.floor(pair / this.groupCount), pair % this.groupCount, key % 3, this.values.subarray(cell, cell + WIDTH)];
    }
  }

  private addChunk(chunk: Chunk, filter: Filter): void {
    const { time, series, flags } = chunk;
    const { parts, groups, unfiltered } = this;
    let part = 0;
    let since = NaN;
    let until = NaN;
    for (let row = 0; row < chunk.length; row++) {
      if (!filter.counts(chunk, row)) continue;
      const id = series[row]!;
      unfiltered[id]!++;
      if (!filter.shows(chunk, row)) continue;
      const when = time[row]!;
      if (!(when >= since && when < until)) {
        part = partOf(parts, when);
        since = parts[part]!.since;
        until = parts[part]!.until;
      }
      this.addRow(chunk, row, this.cell((part * this.groupCount + groups[id]!) * 3 + outcomeOf(flags[row]!)));
    }
  }

  private cell(key: number): number {
    const slot = key & (RECENT - 1);
    if (this.recentKeys[slot] === key) return this.recentCells[slot]!;
    let cell = this.cells.get(key);
    if (cell === undefined) {
      cell = this.count++ * WIDTH;
      this.values = grown(this.values, cell + WIDTH);
      this.cells.set(key, cell);
    }
    this.recentKeys[slot] = key;
    return (this.recentCells[slot] = cell);
  }

  private addRow(chunk: Chunk, row: number, cell: number): void {
    const to = this.values;
    const flags = chunk.flags[row]!;
    const cost = chunk.cost[row]!;
    to[cell]! += 1;
    if (flags & Flag.cancelled) to[cell + 3]! += 1;
    else if (flags & Flag.error) to[cell + 2]! += 1;
    else {
      to[cell + 1]! += 1;
      to[cell + 16]! += countOf(chunk, 'latency', chunk.latency[row]!, row);
    }
    if (!Number.isNaN(cost)) to[cell + 4]! += cost;
    else if (!(flags & Flag.costless)) to[cell + 5]! += 1;
    const baseline = chunk.baseline[row]!;
    if (!Number.isNaN(baseline)) {
      to[cell + 6]! += baseline;
      to[cell + 7]! += baseline - cost;
    }
    to[cell + 8]! += countOf(chunk, 'input', chunk.input[row]!, row);
    to[cell + 9]! += countOf(chunk, 'output', chunk.output[row]!, row);
    to[cell + 10]! += countOf(chunk, 'cacheRead', chunk.cacheRead[row]!, row);
    to[cell + 11]! += countOf(chunk, 'cacheWrite', chunk.cacheWrite[row]!, row);
    to[cell + 12]! += countOf(chunk, 'reasoning', chunk.reasoning[row]!, row);
    to[cell + 13]! += countOf(chunk, 'retries', chunk.retries[row]!, row);
    if (flags & Flag.fallback) to[cell + 14]! += 1;
    if (flags & Flag.truncated) to[cell + 15]! += 1;
  }
}

function countOf(chunk: Chunk, column: Count, value: number, row: number): number {
  return value === LARGE ? chunk.count(column, row) : value;
}

function partOf(parts: readonly Period[], time: number): number {
  let low = 0;
  let high = parts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (parts[middle]!.since <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Series that differ in none of these places are one group. */
export function groupsOf(dictionary: Dictionary, places: readonly number[]): { readonly of: Uint32Array; readonly first: number[] } {
  const { series } = dictionary;
  const of = new Uint32Array(series.size);
  const first: number[] = [];
  const known = new Map<string, number>();
  for (let id = 0; id < series.size; id++) {
    const key = places.map((place) => series.at(id, place)).join(' ');
    let group = known.get(key);
    if (group === undefined) {
      group = first.push(id) - 1;
      known.set(key, group);
    }
    of[id] = group;
  }
  return { of, first };
}

export const SHOWN_GROUPS = [C.WORKFLOW, C.PROVIDER, C.TIER] as const;
