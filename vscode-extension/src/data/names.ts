/** Texts that occur often, each kept once and known by a number; found by their bytes, so that no text is made to look. */

import { grown } from './growth';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export const GOLDEN = 0x9e3779b1;

/** A hash of bytes, by fours from their lowest; assembly/json.ts makes the same. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let i = start; i < end; i += 4) {
    let word = bytes[i]!;
    if (i + 1 < end) word |= bytes[i + 1]! << 8;
    if (i + 2 < end) word |= bytes[i + 2]! << 16;
    if (i + 3 < end) word |= bytes[i + 3]! << 24;
    hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ word, GOLDEN);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** The hash of a run's id, which is never 0. */
export function runHash(id: string): number {
  const bytes = encoder.encode(id);
  return hashOf(bytes, 0, bytes.length) || 1;
}

export class Names {
  /** Number of texts; 0 is the empty one. */
  size = 0;
  private hashes = new Uint32Array(1 << 12);
  private table = new Int32Array(1 << 13);
  private readonly decoded: (string | undefined)[] = [];

  constructor(private pool = new Uint8Array(1 << 16), private ends = new Uint32Array(1 << 12), size = 0) {
    if (size === 0) this.of('');
    else this.restore(size);
  }

  of(text: string): number {
    const bytes = encoder.encode(text);
    const codes: number[] = [];
    this.learn(bytes, [bytes.length], [hashOf(bytes, 0, bytes.length)], 1, codes);
    return codes[0]!;
  }

  /**
   * Gives texts their numbers, which are put behind `codes`: those from the one at `codes.length` until another. All
   * differ; they stand one behind the other in their pool, and `ends` says where each ends there.
   */
  learn(pool: Uint8Array, ends: ArrayLike<number>, hashes: ArrayLike<number>, until: number, codes: number[]): void {
    let start = codes.length === 0 ? 0 : ends[codes.length - 1]!;
    let used = this.size === 0 ? 0 : this.ends[this.size - 1]!;
    this.reserve(until - codes.length, used + ends[until - 1]! - start);
    // New ones are copied together with those before them.
    let copied = start;
    const { table } = this;
    for (let i = codes.length; i < until; i++) {
      const end = ends[i]!;
      const slot = this.slot(pool, start, end, hashes[i]!);
      if (table[slot] === 0) {
        used += end - start;
        this.ends[this.size] = used;
        this.hashes[this.size] = hashes[i]!;
        table[slot] = ++this.size;
      } else {
        this.pool.set(pool.subarray(copied, start), used - (start - copied));
        copied = end;
      }
      codes.push(table[slot]! - 1);
      start = end;
    }
    this.pool.set(pool.subarray(copied, start), used - (start - copied));
  }

  text(code: number): string {
    return (this.decoded[code] ??= decoder.decode(this.pool.subarray(this.start(code), this.ends[code])));
  }

  /** The number of a text that may not be there; -1 where it is not. */
  find(text: string): number {
    const bytes = encoder.encode(text);
    return this.table[this.slot(bytes, 0, bytes.length, hashOf(bytes, 0, bytes.length))]! - 1;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.pool.slice(0, this.size ? this.ends[this.size - 1] : 0);
  }

  lengths(): Uint32Array<ArrayBuffer> {
    return this.ends.slice(0, this.size);
  }

  private start(code: number): number {
    return code === 0 ? 0 : this.ends[code - 1]!;
  }

  /** Where a text stands in the table, or would. */
  private slot(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const { table, hashes } = this;
    const mask = table.length - 1;
    let slot = hash & mask;
    for (;;) {
      const code = table[slot]! - 1;
      if (code < 0 || (hashes[code] === hash && this.is(code, bytes, start, end))) return slot;
      slot = (slot + 1) & mask;
    }
  }

  private is(code: number, bytes: Uint8Array, start: number, end: number): boolean {
    let mine = this.start(code);
    if (this.ends[code]! - mine !== end - start) return false;
    for (let i = start; i < end; i++) if (this.pool[mine++] !== bytes[i]) return false;
    return true;
  }

  /** Makes room for so many more texts, and for so many bytes in all. */
  private reserve(more: number, bytes: number): void {
    const size = this.size + more;
    this.pool = grown(this.pool, bytes);
    this.ends = grown(this.ends, size);
    this.hashes = grown(this.hashes, size);
    if (size * 2 < this.table.length) return;
    let length = this.table.length;
    while (size * 2 >= length) length *= 4;
    this.table = new Int32Array(length);
    for (let code = 0; code < this.size; code++) this.put(code);
  }

  /** Of a pool that came with its texts. */
  private restore(size: number): void {
    this.reserve(size, this.ends[size - 1]!);
    for (; this.size < size; this.size++) {
      this.hashes[this.size] = hashOf(this.pool, this.start(this.size), this.ends[this.size]!);
      this.put(this.size);
    }
  }

  private put(code: number): void {
    const mask = this.table.length - 1;
    let slot = this.hashes[code]! & mask;
    while (this.table[slot] !== 0) slot = (slot + 1) & mask;
    this.table[slot] = code + 1;
  }
}
