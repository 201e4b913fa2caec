/**
 * Texts and combinations of them that occur often, each known by a number.
 *
 * The numbers hold until `forget`: the host gives each its own, as soon as it takes the rows in which they stand.
 */

import { hash, hashAt, input, isAscii, isSame } from './json';
import { isUtf8 } from './host';

const MOST_NAMES: u32 = 1 << 13;
const MOST_BYTES: u32 = 1 << 19;
/** So many new ones may be in a line. */
const ENOUGH: u32 = 16;

export const pool = new StaticArray<u8>(MOST_BYTES + 8);
/** Where each text ends in the pool. */
export const ends = new StaticArray<u32>(MOST_NAMES);
export const hashes = new StaticArray<u32>(MOST_NAMES);
export let names: u32 = 0;
const slots = new StaticArray<u32>(MOST_NAMES * 2);

/** The number of the text that was read last, which stands between two places; -1 where only the slow way can tell. */
export function nameAt(start: i32, end: i32): i32 {
  const from = changetype<usize>(input) + start;
  const length: u32 = end - start;
  const slot = slotOf(from, length, hash);
  const known = unchecked(slots[slot]);
  if (known) return known - 1;
  // A name that is known has been looked at.
  if ((!isAscii && !isUtf8(start, end)) || used() + length > MOST_BYTES) return -1;
  return add(from, length, hash, slot);
}

/** A number for a name that stands nowhere in the input; only the host knows it. */
export function foreign(): u32 {
  unchecked((ends[names] = used()));
  return names++;
}

export function hasRoom(): bool {
  return names + ENOUGH <= MOST_NAMES && used() <= MOST_BYTES / 2;
}

/** `texts`: in ASCII, the first names from then on. */
export function forget(texts: StaticArray<StaticArray<u8>>): void {
  names = 0;
  memory.fill(changetype<usize>(slots), 0, slots.length * 4);
  for (let i = 0; i < texts.length; i++) {
    const from = changetype<usize>(texts[i]);
    const length = texts[i].length;
    const sum = hashAt(from, length);
    add(from, length, sum, slotOf(from, length, sum));
  }
}

function add(from: usize, length: u32, hash: u32, slot: u32): u32 {
  const start = used();
  memory.copy(changetype<usize>(pool) + start, from, length);
  unchecked((ends[names] = start + length));
  unchecked((hashes[names] = hash));
  unchecked((slots[slot] = ++names));
  return names - 1;
}

/** Where a text stands, or would. */
function slotOf(from: usize, length: u32, hash: u32): u32 {
  let slot = hash % (MOST_NAMES * 2);
  let known: u32;
  while ((known = unchecked(slots[slot])) && !is(known - 1, from, length)) slot = (slot + 1) % (MOST_NAMES * 2);
  return slot;
}

function is(name: u32, from: usize, length: u32): bool {
  const start = name == 0 ? 0 : unchecked(ends[name - 1]);
  return unchecked(ends[name]) - start == length && isSame(changetype<usize>(pool) + start, from, length);
}

function used(): u32 {
  return names == 0 ? 0 : unchecked(ends[names - 1]);
}

/** Combinations of names. */
export class Tuples {
  size: u32 = 0;
  readonly values: StaticArray<u32>;
  private readonly slots: StaticArray<u32>;

  constructor(private readonly width: u32, private readonly most: u32) {
    this.values = new StaticArray<u32>(width * most);
    this.slots = new StaticArray<u32>(most * 2);
  }

  get hasRoom(): bool {
    return this.size < this.most;
  }

  /** The number of a combination. */
  of(tuple: StaticArray<u32>): u32 {
    const slots = this.slots;
    const width = this.width;
    const last = slots.length - 1;
    const from = changetype<usize>(tuple);
    let slot = hashAt(from, width * 4) & last;
    let known: u32;
    while ((known = unchecked(slots[slot])) && !isSame(this.place(known - 1), from, width * 4)) slot = (slot + 1) & last;
    if (known) return known - 1;
    memory.copy(this.place(this.size), from, width * 4);
    unchecked((slots[slot] = ++this.size));
    return this.size - 1;
  }

  forget(): void {
    this.size = 0;
    memory.fill(changetype<usize>(this.slots), 0, this.slots.length * 4);
  }

  private place(id: u32): usize {
    return changetype<usize>(this.values) + id * this.width * 4;
  }
}
