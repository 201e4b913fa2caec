/** In what order a view's rows stand: all rows in an order are kept, and a view is a walk along it. */

import type { Sort, SortColumn } from '../../shared/protocol';
import * as C from './columns';
import { CHUNK_ROWS, Flag, type Chunk } from './columns';
import type { Filter } from './filter';
import { sorted } from './radix';
import type { Snapshot } from './snapshot';

/** Orders that are kept beside that of time. */
const KEPT = 1;

export function idOf(chunk: number, row: number): number {
  return chunk * CHUNK_ROWS + row;
}

export function chunkOf(id: number): number {
  return id >>> 16;
}

export function rowOf(id: number): number {
  return id & (CHUNK_ROWS - 1);
}

/** Orders of all rows of one snapshot. */
export class Orders {
  private newestFirst: Uint32Array<ArrayBuffer> | null = null;
  private readonly others = new Map<string, Uint32Array<ArrayBuffer>>();

  constructor(readonly snapshot: Snapshot) {}

  /** Those of a later snapshot. */
  after(snapshot: Snapshot): Orders {
    return new Orders(snapshot);
  }

  /**
   * The rows that a filter shows, in order: so many from a place on, and how many there are in all.
   *
   * known: how many there are in all, where that was counted; null where it was not.
   */
  shown(filter: Filter, sort: Sort, from: number, limit: number, known: number | null): { readonly ids: Uint32Array; readonly total: number } {
    const order = this.of(sort);
    const { has, count } = known !== null && limit < Infinity ? { has: this.asked(filter), count: known } : this.marked(filter);
    const ids = new Uint32Array(Math.max(0, Math.min(limit, count - from)));
    const backwards = sort.column === 'time' && !sort.descending;
    if (ids.length === 0) return { ids, total: count };
    let place = -from;
    // A look that goes on adds rows to the chunks which the order does not have yet, but which may be counted.
    for (let i = 0; place < ids.length && i < order.length; i++) {
      const id = order[backwards ? order.length - 1 - i : i]!;
      if (!has(id)) continue;
      if (place >= 0) ids[place] = id;
      place += 1;
    }
    return { ids: ids.subarray(0, Math.max(0, place)), total: count };
  }

  /** Whether a filter shows a row, asked one by one: for the first few of an order. */
  private asked(filter: Filter): (id: number) => boolean {
    const { chunks } = this.snapshot;
    return (id) => {
      const chunk = chunks[chunkOf(id)]!;
      return filter.counts(chunk, rowOf(id)) && filter.shows(chunk, rowOf(id));
    };
  }

  /** The same for all rows; in the order of the files, in which the columns lie. */
  private marked(filter: Filter): { readonly has: (id: number) => boolean; readonly count: number } {
    const { chunks } = this.snapshot;
    const marks = new Uint8Array(chunks.length * CHUNK_ROWS);
    let count = 0;
    chunks.forEach((chunk, place) => {
      if (!filter.reaches(chunk)) return;
      const first = idOf(place, 0);
      for (let row = 0; row < chunk.length; row++) {
        if (!filter.counts(chunk, row) || !filter.shows(chunk, row)) continue;
        marks[first + row] = 1;
        count += 1;
      }
    });
    return { has: (id) => marks[id] === 1, count };
  }

  private of(sort: Sort): Uint32Array<ArrayBuffer> {
    const newest = (this.newestFirst ??= this.byTime());
    if (sort.column === 'time') return newest;
    const name = `${sort.column} ${sort.descending}`;
    let order = this.others.get(name);
    if (!order) {
      order = sorted(newest, this.keys(newest, sort));
      if (this.others.size >= KEPT) this.others.clear();
      this.others.set(name, order);
    }
    return order;
  }

  private byTime(): Uint32Array<ArrayBuffer> {
    const { chunks } = this.snapshot;
    const rows = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const ids = new Uint32Array(rows);
    const keys = new Float64Array(rows);
    let place = rows;
    // The last one in the files is the newest of those of the same time.
    chunks.forEach((chunk, index) => {
      for (let row = 0; row < chunk.length; row++) {
        ids[--place] = idOf(index, row);
        keys[place] = -chunk.time[row]!;
      }
    });
    return sorted(ids, keys);
  }

  private keys(ids: Uint32Array, sort: Sort): Float64Array<ArrayBuffer> {
    const keyOf = this.keyOf(sort.column);
    const sign = sort.descending ? -1 : 1;
    const keys = new Float64Array(ids.length);
    for (let i = 0; i < ids.length; i++) {
      const key = keyOf(this.snapshot.chunks[ids[i]! >>> 16]!, rowOf(ids[i]!));
      // What is not known stands last in either order.
      keys[i] = Number.isNaN(key) ? Infinity : sign * key;
    }
    return keys;
  }

  private keyOf(column: SortColumn): (chunk: Chunk, row: number) => number {
    switch (column) {
      case 'time':
        return (chunk, row) => chunk.time[row]!;
      case 'cost':
        return (chunk, row) => chunk.cost[row]!;
      case 'tokens':
        return (chunk, row) => chunk.count('input', row) + chunk.count('output', row);
      case 'latency':
        return (chunk, row) => chunk.count('latency', row);
      case 'status':
        return (chunk, row) => chunk.flags[row]! & (Flag.error | Flag.cancelled);
      case 'workflow':
        return this.ranks(C.WORKFLOW);
      case 'provider':
        return this.ranks(C.PROVIDER);
      case 'model':
        return this.ranks(C.MODEL);
      case 'tier':
        return this.ranks(C.TIER);
    }
  }

  /** By series: the place of its name among all names. */
  private ranks(place: number): (chunk: Chunk, row: number) => number {
    const { names, series } = this.snapshot.dictionary;
    const codes = new Set<number>();
    for (let id = 0; id < series.size; id++) codes.add(series.at(id, place));
    const collator = new Intl.Collator(undefined, { numeric: true });
    const inOrder = [...codes].sort((one, other) => collator.compare(names.text(one), names.text(other)));
    const rankOf = new Map(inOrder.map((code, rank) => [code, rank]));
    const ranks = Float64Array.from({ length: series.size }, (_, id) => rankOf.get(series.at(id, place))!);
    return (chunk, row) => ranks[chunk.series[row]!]!;
  }
}
