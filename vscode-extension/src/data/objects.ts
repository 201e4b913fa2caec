/** The members of a JSON object in the bytes of a line, each given to whoever knows its key. */

import { CLOSE, COLON, COMMA, OPEN, passBlanks, passText, passValue, QUOTE } from './bytes';

const BACKSLASH = 92;
/** Beyond so many different keys new ones are not remembered. */
const MOST_KEYS = 200;
/** The field of a key that nobody asks for. */
export const NOBODYS = -1;

/** A key, and the one that followed it when it was last seen: writers keep to an order. */
class Key {
  /** The last one that followed, and the one before it: some members are not always there. */
  next: Key | null = null;
  other: Key | null = null;

  /** The same bytes by fours, which are compared in a quarter of the time. */
  private readonly words: Int32Array;

  constructor(
    /** With its closing quote. */
    readonly bytes: Uint8Array,
    readonly field: number,
  ) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.words = Int32Array.from({ length: bytes.length >> 2 }, (_, word) => view.getInt32(word * 4, true));
  }

  isAt(b: Uint8Array, p: number): boolean {
    const { bytes, words } = this;
    if (p + bytes.length > b.length) return false;
    const view = viewOf(b);
    let i = 0;
    for (; i < words.length; i++) if (view.getInt32(p + i * 4, true) !== words[i]) return false;
    for (i *= 4; i < bytes.length; i++) if (b[p + i] !== bytes[i]) return false;
    return true;
  }
}

let viewed: Uint8Array = new Uint8Array();
let view: DataView = new DataView(viewed.buffer);

function viewOf(b: Uint8Array): DataView {
  if (b !== viewed) {
    viewed = b;
    view = new DataView(b.buffer, b.byteOffset, b.length);
  }
  return view;
}

const decoder = new TextDecoder('latin1');

export abstract class ObjectReader {
  private readonly known: Key[] = [];
  private readonly start = new Key(new Uint8Array(0), NOBODYS);

  /** By key, a field below 32. */
  constructor(private readonly fields: Readonly<Record<string, number>>) {}

  /** Reads a field's value; returns the place behind it, or -1 as in bytes.ts. */
  protected abstract field(field: number, b: Uint8Array, p: number): number;

  /** Reads an object; returns the place behind it, or -1. */
  read(b: Uint8Array, p: number): number {
    if (b[p] !== OPEN) return -1;
    p = passBlanks(b, p + 1);
    if (b[p] === CLOSE) return p + 1;
    let seen = 0;
    let last = this.start;
    for (;;) {
      if (b[p] !== QUOTE) return -1;
      let key = last.next;
      if (key === null || !key.isAt(b, p + 1)) {
        const { other } = last;
        key = other !== null && other.isAt(b, p + 1) ? other : this.keyAt(b, p);
        if (key === null) return -1;
        last.other = last.next;
        last.next = key;
      }
      p += 1 + key.bytes.length;
      last = key;
      if (b[p] !== COLON) {
        p = passBlanks(b, p);
        if (b[p] !== COLON) return -1;
      }
      p++;
      if (b[p]! <= 32) p = passBlanks(b, p);
      if (key.field < 0) p = passValue(b, p);
      else {
        // Of a key that is there twice the last one counts, which only the slow way can tell.
        if (seen & (1 << key.field)) return -1;
        seen |= 1 << key.field;
        p = this.field(key.field, b, p);
      }
      if (p < 0) return -1;
      if (b[p]! <= 32) p = passBlanks(b, p);
      if (b[p] === CLOSE) return p + 1;
      if (b[p] !== COMMA) return -1;
      p++;
      if (b[p]! <= 32) p = passBlanks(b, p);
    }
  }

  private keyAt(b: Uint8Array, p: number): Key | null {
    for (const key of this.known) if (key.isAt(b, p + 1)) return key;
    const end = passText(b, p);
    if (end < 0 || b.subarray(p, end).includes(BACKSLASH)) return null;
    const bytes = b.slice(p + 1, end);
    const text = decoder.decode(bytes.subarray(0, -1));
    const key = new Key(bytes, Object.hasOwn(this.fields, text) ? this.fields[text]! : NOBODYS);
    if (this.known.length < MOST_KEYS) this.known.push(key);
    return key;
  }
}

function isAt(b: Uint8Array, p: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (b[p + i] !== bytes[i]) return false;
  return true;
}

/** Whether the bytes between two places are these. */
export function isText(b: Uint8Array, start: number, end: number, bytes: Uint8Array): boolean {
  return end - start === bytes.length && isAt(b, start, bytes);
}
