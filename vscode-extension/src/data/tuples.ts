/** Combinations of numbers that occur often, each kept once and known by a number of its own. */

import { grown } from './growth';
import { mixed } from './names';

export class Tuples {
  size = 0;
  private table = new Int32Array(1024);
  private last = -1;

  constructor(
    readonly width: number,
    private values: Uint32Array<ArrayBuffer> = new Uint32Array(width * 64),
    size = 0,
  ) {
    for (let id = 0; id < size; id++) {
      this.size = id + 1;
      this.place(id);
    }
  }

  /** The number of the combination that begins at a place of an array. */
  of(from: Uint32Array, at = 0): number {
    if (this.last >= 0 && this.is(this.last, from, at)) return this.last;
    const mask = this.table.length - 1;
    for (let slot = this.hash(from, at) & mask; ; slot = (slot + 1) & mask) {
      const id = this.table[slot]! - 1;
      if (id < 0) return (this.last = this.add(from, at));
      if (this.is(id, from, at)) return (this.last = id);
    }
  }

  at(id: number, place: number): number {
    return this.values[id * this.width + place]!;
  }

  all(): Uint32Array<ArrayBuffer> {
    return this.values.slice(0, this.size * this.width);
  }

  private is(id: number, from: Uint32Array, at: number): boolean {
    const mine = id * this.width;
    for (let i = 0; i < this.width; i++) if (this.values[mine + i] !== from[at + i]) return false;
    return true;
  }

  private hash(from: Uint32Array, at: number): number {
    let hash = 0;
    // As for names: turned, and multiplied only once.
    for (let i = 0; i < this.width; i++) hash = ((hash << 13) | (hash >>> 19)) ^ from[at + i]!;
    return mixed(hash);
  }

  private add(from: Uint32Array, at: number): number {
    const id = this.size++;
    this.values = grown(this.values, this.size * this.width);
    for (let i = 0; i < this.width; i++) this.values[id * this.width + i] = from[at + i]!;
    this.place(id);
    return id;
  }

  private place(id: number): void {
    if (id * 2 >= this.table.length) {
      this.table = new Int32Array(this.table.length * 4);
      for (let one = 0; one < id; one++) this.put(one);
    }
    this.put(id);
  }

  private put(id: number): void {
    const mask = this.table.length - 1;
    let slot = this.hash(this.values, id * this.width) & mask;
    while (this.table[slot] !== 0) slot = (slot + 1) & mask;
    this.table[slot] = id + 1;
  }
}
