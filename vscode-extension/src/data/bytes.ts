/**
 * JSON values in the bytes of a line: passed over, or read where they are as expected.
 *
 * Each function takes the place where a value begins and returns the one behind it, or -1 where the line must be read
 * by the slow way, which then decides whether it is JSON at all. Lines end with a newline, which stands in no value, so
 * no function looks beyond it.
 */

import { mixed } from './names';

export const QUOTE = 34;
export const COMMA = 44;
export const COLON = 58;
export const OPEN = 123;
export const CLOSE = 125;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const NULL = 110;
const TRUE = 116;
const FALSE = 102;

/** Whole numbers with so many digits are exact as doubles. */
const EXACT_DIGITS = 15;
const POWERS = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);
/** Nested deeper than this is left to the slow way. */
const DEEPEST = 200;

/** What ends a run of plain characters in a text: quote, backslash, control character. */
const SPECIAL = new Uint8Array(256).map((_, byte) => Number(byte < 32 || byte === QUOTE || byte === BACKSLASH));
const ESCAPES = new Set([...'"\\/bfnrt'].map((char) => char.charCodeAt(0)));

/** What the last call found. Not returned, so that nothing is made for each of the values of a line. */
export const found = {
  /** Of `plainText`: its hash, as Names has it. */
  hash: 0,
  ascii: true,
  /** Of a field that is true or false. */
  flag: false,
  /** Of `wholeNumber` and `anyNumber`. */
  number: 0,
};

export function passBlanks(b: Uint8Array, p: number): number {
  while (b[p] === 32 || b[p] === 9 || b[p] === 13) p++;
  return p;
}

/** A text without escapes, from its quote to behind its other one. */
export function plainText(b: Uint8Array, p: number): number {
  if (b[p] !== QUOTE) return -1;
  let hash = 0;
  let bits = 0;
  let byte: number;
  for (p++; SPECIAL[(byte = b[p]!)] === 0; p++) {
    // Without Math.imul, which costs much until the compiler has seen it often enough.
    hash = ((hash << 5) | (hash >>> 27)) ^ byte;
    bits |= byte;
  }
  if (byte !== QUOTE) return -1;
  found.hash = mixed(hash);
  found.ascii = bits < 128;
  return p + 1;
}

export function isNull(b: Uint8Array, p: number): boolean {
  return b[p] === NULL && b[p + 1] === 117 && b[p + 2] === 108 && b[p + 3] === 108;
}

export function isTrue(b: Uint8Array, p: number): boolean {
  return b[p] === TRUE && b[p + 1] === 114 && b[p + 2] === 117 && b[p + 3] === 101;
}

export function isFalse(b: Uint8Array, p: number): boolean {
  return b[p] === FALSE && b[p + 1] === 97 && b[p + 2] === 108 && b[p + 3] === 115 && b[p + 4] === 101;
}

/** A whole number that is exact as a double. */
export function wholeNumber(b: Uint8Array, p: number): number {
  const negative = b[p] === MINUS;
  if (negative) p++;
  const start = p;
  let value = 0;
  let digit: number;
  while ((digit = b[p]! - ZERO) >= 0 && digit <= 9) {
    value = value * 10 + digit;
    p++;
  }
  const next = b[p]!;
  if (p === start || p - start > EXACT_DIGITS || (b[start] === ZERO && p - start > 1) || next === POINT || (next | 32) === 101) return -1;
  found.number = negative ? 0 - value : value;
  return p;
}

/** Any number that a double holds. */
export function anyNumber(b: Uint8Array, p: number): number {
  const start = p;
  const negative = b[p] === MINUS;
  if (negative) p++;
  const whole = p;
  let value = 0;
  let digit: number;
  while ((digit = b[p]! - ZERO) >= 0 && digit <= 9) {
    value = value * 10 + digit;
    p++;
  }
  if (p === whole || (b[whole] === ZERO && p - whole > 1)) return -1;
  let digits = p - whole;
  let decimals = 0;
  if (b[p] === POINT) {
    const point = ++p;
    while ((digit = b[p]! - ZERO) >= 0 && digit <= 9) {
      value = value * 10 + digit;
      p++;
    }
    decimals = p - point;
    digits += decimals;
    if (decimals === 0) return -1;
  }
  const exponential = (b[p]! | 32) === 101;
  if (exponential && (p = exponent(b, p)) < 0) return -1;
  if (!exponential && digits <= EXACT_DIGITS) {
    // Both exact, so their quotient is the double next to the number.
    const size = value / POWERS[decimals]!;
    found.number = negative ? -size : size;
    return p;
  }
  found.number = Number(String.fromCharCode(...b.subarray(start, Math.min(p, start + 2000))));
  return Number.isFinite(found.number) && p - start <= 2000 ? p : -1;
}

/** Any value. */
export function passValue(b: Uint8Array, p: number, depth = 0): number {
  switch (b[p]) {
    case QUOTE:
      return passText(b, p);
    case OPEN:
      return passObject(b, p, depth);
    case OPEN_LIST:
      return passList(b, p, depth);
    case NULL:
      return isNull(b, p) ? p + 4 : -1;
    case TRUE:
      return isTrue(b, p) ? p + 4 : -1;
    case FALSE:
      return isFalse(b, p) ? p + 5 : -1;
    default:
      return passNumber(b, p);
  }
}

export function passText(b: Uint8Array, p: number): number {
  for (p++; ; p++) {
    while (SPECIAL[b[p]!] === 0) p++;
    if (b[p] === QUOTE) return p + 1;
    if (b[p] !== BACKSLASH) return -1;
    p++;
    if (ESCAPES.has(b[p]!)) continue;
    // Surrogates are left to the slow way: half a pair is no text.
    if (b[p] !== 117 || !isHex(b, p + 1) || ((b[p + 1]! | 32) === 100 && b[p + 2]! >= 56)) return -1;
    p += 4;
  }
}

/** Gives each text of a list of plain ones in ASCII. */
export function eachText(b: Uint8Array, p: number, take: (b: Uint8Array, start: number, end: number) => void): number {
  if (b[p] !== OPEN_LIST) return -1;
  p = passBlanks(b, p + 1);
  if (b[p] === CLOSE_LIST) return p + 1;
  for (;;) {
    const end = plainText(b, p);
    if (end < 0 || !found.ascii) return -1;
    take(b, p + 1, end - 1);
    p = passBlanks(b, end);
    if (b[p] === CLOSE_LIST) return p + 1;
    if (b[p] !== COMMA) return -1;
    p = passBlanks(b, p + 1);
  }
}

function passObject(b: Uint8Array, p: number, depth: number): number {
  if (depth >= DEEPEST) return -1;
  p = passBlanks(b, p + 1);
  if (b[p] === CLOSE) return p + 1;
  for (;;) {
    if (b[p] !== QUOTE || (p = passText(b, p)) < 0) return -1;
    p = passBlanks(b, p);
    if (b[p] !== COLON || (p = passValue(b, passBlanks(b, p + 1), depth + 1)) < 0) return -1;
    p = passBlanks(b, p);
    if (b[p] === CLOSE) return p + 1;
    if (b[p] !== COMMA) return -1;
    p = passBlanks(b, p + 1);
  }
}

function passList(b: Uint8Array, p: number, depth: number): number {
  if (depth >= DEEPEST) return -1;
  p = passBlanks(b, p + 1);
  if (b[p] === CLOSE_LIST) return p + 1;
  for (;;) {
    if ((p = passValue(b, p, depth + 1)) < 0) return -1;
    p = passBlanks(b, p);
    if (b[p] === CLOSE_LIST) return p + 1;
    if (b[p] !== COMMA) return -1;
    p = passBlanks(b, p + 1);
  }
}

function passNumber(b: Uint8Array, p: number): number {
  if (b[p] === MINUS) p++;
  const whole = p;
  p = passDigits(b, p);
  if (p === whole || (b[whole] === ZERO && p - whole > 1)) return -1;
  if (b[p] === POINT) {
    const point = p + 1;
    p = passDigits(b, point);
    if (p === point) return -1;
  }
  return (b[p]! | 32) === 101 ? exponent(b, p) : p;
}

function exponent(b: Uint8Array, p: number): number {
  p++;
  if (b[p] === 43 || b[p] === MINUS) p++;
  const end = passDigits(b, p);
  // One of three digits may be beyond what a double holds.
  return end === p || end - p > 2 ? -1 : end;
}

function passDigits(b: Uint8Array, p: number): number {
  while (b[p]! >= ZERO && b[p]! <= 57) p++;
  return p;
}

function isHex(b: Uint8Array, p: number): boolean {
  for (let i = p; i < p + 4; i++) {
    const byte = b[i]!;
    if (!((byte >= ZERO && byte <= 57) || ((byte | 32) >= 97 && (byte | 32) <= 102))) return false;
  }
  return true;
}
