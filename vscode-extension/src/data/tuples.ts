/** Combinations of numbers that occur often, each kept once and known by a number of its own. */

import { grown } from './growth';
import { GOLDEN } from './names';

export class Tuples {
  size = 0;
  private table = new Int32Array(1 << 13);

  constructor(readonly width: number, private values: Uint32Array<ArrayBuffer> = new Uint32Array(width * 1024), size = 0) {
    this.reserve(size);
    for (let id = 0; id < size; id++) this.table[this.slot(id)] = id + 1;
    this.size = size;
  }

  at(id: number, place: number): number {
    return this.values[id * this.width + place]!;
  }

  all(): Uint32Array<ArrayBuffer> {
    return this.values.slice(0, this.size * this.width);
  }

  /**
   * Gives combinations their numbers, which are put behind `ids`: those from the one at `ids.length` until another.
   * They stand one behind the other, and `meaning` has the numbers of which they really are.
   */
  learn(combinations: Uint32Array, until: number, meaning: ArrayLike<number>, ids: number[]): void {
    const { width } = this;
    this.reserve(until - ids.length);
    const { values, table } = this;
    for (let at = ids.length * width; at < until * width; at += width) {
      // Where it will stand if it is new.
      const next = this.size * width;
      for (let i = 0; i < width; i++) values[next + i] = meaning[combinations[at + i]!]!;
      const slot = this.slot(this.size);
      if (table[slot] === 0) table[slot] = ++this.size;
      ids.push(table[slot]! - 1);
    }
  }

  /** Where the combination of a number stands in the table, or one like it, or would. */
  private slot(id: number): number {
    const { width, values, table } = this;
    const at = id * width;
    let hash = 0;
    for (let i = 0; i < width; i++) hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ values[at + i]!, GOLDEN);
    const mask = table.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (;;) {
      const other = (table[slot]! - 1) * width;
      if (other < 0) return slot;
      let i = 0;
      while (i < width && values[other + i] === values[at + i]) i++;
      if (i === width) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** Makes room for so many more. */
  private reserve(more: number): void {
    const size = this.size + more;
    this.values = grown(this.values, (size + 1) * this.width);
    if (size * 2 < this.table.length) return;
    let length = this.table.length;
    while (size * 2 >= length) length *= 4;
    this.table = new Int32Array(length);
    for (let id = 0; id < this.size; id++) this.table[this.slot(id)] = id + 1;
  }
}
