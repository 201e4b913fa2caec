/** Fields of a record in the bytes of a line, as far as calls and runs have them alike. */

import { found, isFalse, isNull, isTrue, plainText } from './bytes';
import type { Names } from './names';
import { ObjectReader } from './objects';

const strict = new TextDecoder('utf-8', { fatal: true });

/** Where a plain text stands; start 0 is nowhere, because a text has a quote before it. */
export interface Span {
  start: number;
  end: number;
  hash: number;
}

export function span(): Span {
  return { start: 0, end: 0, hash: 0 };
}

export abstract class FieldReader extends ObjectReader {
  constructor(fields: readonly string[], protected readonly names: Names) {
    super(Object.fromEntries(fields.map((name, place) => [name, place])));
  }

  /** Whether a field is true or false, into `found.flag`; what is null is `otherwise`. */
  protected flag(b: Uint8Array, p: number, otherwise: boolean): number {
    found.flag = otherwise;
    if (isFalse(b, p)) {
      found.flag = false;
      return p + 5;
    }
    if (isTrue(b, p)) {
      found.flag = true;
      return p + 4;
    }
    return isNull(b, p) ? p + 4 : -1;
  }

  protected span(b: Uint8Array, p: number, into: Span): number {
    if (isNull(b, p)) return p + 4;
    const end = plainText(b, p);
    if (end < 0 || !found.ascii) return -1;
    into.start = p + 1;
    into.end = end - 1;
    into.hash = found.hash;
    return end;
  }

  /** The number of a text's name, into a place of an array. */
  protected name(b: Uint8Array, p: number, into: Uint32Array, place: number): number {
    if (isNull(b, p)) return p + 4;
    const end = plainText(b, p);
    if (end < 0) return -1;
    const { hash, ascii } = found;
    let name = ascii ? this.names.ofBytes(b, p + 1, end - 1, hash) : this.names.findBytes(b, p + 1, end - 1, hash);
    // A name that is known has been looked at.
    if (name < 0 && isUtf8(b.subarray(p + 1, end - 1))) name = this.names.ofBytes(b, p + 1, end - 1, hash);
    if (name < 0) return -1;
    into[place] = name;
    return end;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
