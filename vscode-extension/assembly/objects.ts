/** The members of a JSON object in the bytes of a line, each given to whoever knows its key. */

import { at, CLOSE, COLON, COMMA, hash, hashAt, input, isSame, OPEN, passBlanks, passValue, plainText, QUOTE } from './json';

/** Of all kinds of objects together, at most half as many keys. */
const SLOTS: u32 = 256;
const NOBODYS: i32 = -1;

class Key {
  constructor(readonly kind: i32, readonly text: StaticArray<u8>, readonly field: i32) {}

  isAt(p: i32, length: i32): bool {
    const text = this.text;
    return text.length == length && isSame(changetype<usize>(text), changetype<usize>(input) + p, length);
  }
}

const slots = new StaticArray<Key | null>(SLOTS);

/** Names the field, below 64, of a key in objects of a kind. */
export function define(kind: i32, name: string, field: i32): void {
  const text = bytesOf(name);
  let slot = slotOf(kind, hashAt(changetype<usize>(text), text.length));
  while (slots[slot]) slot = (slot + 1) % SLOTS;
  slots[slot] = new Key(kind, text, field);
}

/** Of an ASCII text. */
export function bytesOf(text: string): StaticArray<u8> {
  const bytes = new StaticArray<u8>(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = <u8>text.charCodeAt(i);
  return bytes;
}

/** Whether the bytes between two places are these. */
export function isText(start: i32, end: i32, bytes: StaticArray<u8>): bool {
  return end - start == bytes.length && isSame(changetype<usize>(bytes), changetype<usize>(input) + start, bytes.length);
}

/** Reads an object; `take` reads the value of a field and returns the place behind it. As json.ts: -1 where it cannot. */
export function readObject(p: i32, kind: i32, take: (field: i32, p: i32) => i32): i32 {
  if (at(p) != OPEN) return -1;
  p = passBlanks(p + 1);
  if (at(p) == CLOSE) return p + 1;
  let seen: u64 = 0;
  while (true) {
    if (at(p) != QUOTE) return -1;
    const key = p + 1;
    p = plainText(p);
    if (p < 0) return -1;
    const field = fieldOf(kind, key, p - 1 - key);
    p = passBlanks(p);
    if (at(p) != COLON) return -1;
    p = passBlanks(p + 1);
    if (field == NOBODYS) p = passValue(p);
    else {
      // Of a key that is there twice the last one counts, which only the slow way can tell.
      const bit = <u64>1 << field;
      if (seen & bit) return -1;
      seen |= bit;
      p = take(field, p);
    }
    if (p < 0) return -1;
    p = passBlanks(p);
    const end = at(p);
    if (end == CLOSE) return p + 1;
    if (end != COMMA) return -1;
    p = passBlanks(p + 1);
  }
}

/** Of the key that was read last. */
function fieldOf(kind: i32, p: i32, length: i32): i32 {
  let slot = slotOf(kind, hash);
  let key: Key | null;
  while ((key = unchecked(slots[slot])) && (key.kind != kind || !key.isAt(p, length))) slot = (slot + 1) % SLOTS;
  return key ? key.field : NOBODYS;
}

function slotOf(kind: i32, hash: u32): u32 {
  return (hash + kind) % SLOTS;
}
