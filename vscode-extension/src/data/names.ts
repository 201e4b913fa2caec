/** Texts that occur often, each kept once and known by a number; found by their bytes, so that no text is made to look. */

import { grown } from './growth';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const GOLDEN = 0x9e3779b1;

/** A hash of bytes; bytes.ts makes the same while it looks for the end of a text. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = ((hash << 5) | (hash >>> 27)) ^ bytes[i]!;
  return mixed(hash);
}

/** Spreads what turning and adding left together. */
export function mixed(hash: number): number {
  const spread = Math.imul(hash, GOLDEN);
  return (spread ^ (spread >>> 15)) >>> 0;
}

export class Names {
  /** Number of texts; 0 is the empty one. */
  size = 0;
  private pool: Uint8Array<ArrayBuffer>;
  private ends: Uint32Array<ArrayBuffer>;
  private table = new Int32Array(1024);
  private readonly decoded: (string | undefined)[] = [];

  constructor(pool = new Uint8Array(4096), ends = new Uint32Array(256), size = 0) {
    this.pool = pool;
    this.ends = ends;
    for (let code = 0; code < size; code++) {
      this.size = code + 1;
      const start = this.start(code);
      this.place(hashOf(pool, start, ends[code]!), code);
    }
    if (size === 0) this.ofBytes(pool, 0, 0);
  }

  of(text: string): number {
    const bytes = encoder.encode(text);
    return this.ofBytes(bytes, 0, bytes.length);
  }

  ofBytes(bytes: Uint8Array, start: number, end: number, hash = hashOf(bytes, start, end)): number {
    const code = this.findBytes(bytes, start, end, hash);
    return code < 0 ? this.add(bytes, start, end, hash) : code;
  }

  text(code: number): string {
    return (this.decoded[code] ??= decoder.decode(this.pool.subarray(this.start(code), this.ends[code])));
  }

  /** The number of a text that may not be there; -1 where it is not. */
  find(text: string): number {
    const bytes = encoder.encode(text);
    return this.findBytes(bytes, 0, bytes.length);
  }

  findBytes(bytes: Uint8Array, start: number, end: number, hash = hashOf(bytes, start, end)): number {
    const mask = this.table.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const code = this.table[slot]! - 1;
      if (code < 0 || this.is(code, bytes, start, end)) return code;
    }
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

  private is(code: number, bytes: Uint8Array, start: number, end: number): boolean {
    let mine = this.start(code);
    if (this.ends[code]! - mine !== end - start) return false;
    for (let i = start; i < end; i++) if (this.pool[mine++] !== bytes[i]) return false;
    return true;
  }

  private add(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const code = this.size++;
    const from = this.start(code);
    this.pool = grown(this.pool, from + end - start);
    this.ends = grown(this.ends, this.size);
    this.pool.set(bytes.subarray(start, end), from);
    this.ends[code] = from + end - start;
    this.place(hash, code);
    return code;
  }

  private place(hash: number, code: number): void {
    if (code * 2 >= this.table.length) {
      this.table = new Int32Array(this.table.length * 4);
      for (let one = 0; one < code; one++) this.put(hashOf(this.pool, this.start(one), this.ends[one]!), one);
    }
    this.put(hash, code);
  }

  private put(hash: number, code: number): void {
    const mask = this.table.length - 1;
    let slot = hash & mask;
    while (this.table[slot] !== 0) slot = (slot + 1) & mask;
    this.table[slot] = code + 1;
  }
}
