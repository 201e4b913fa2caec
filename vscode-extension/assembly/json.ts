/**
 * JSON values in the bytes of a line: passed over, or read where they are as expected.
 *
 * Each function takes the place where a value begins and returns the one behind it, or -1 where the line must be read
 * by the slow way, which then decides whether it is JSON at all. Lines end with a newline, which stands in no value, so
 * no function looks beyond it.
 */

import { numberIn } from './host';

/** Bytes of lines that are read at once. */
export const MOST: i32 = 1 << 19;
/** Sixteen bytes are looked at at once. */
export const input = new StaticArray<u8>(MOST + 16);

export const QUOTE: u8 = 34;
export const COMMA: u8 = 44;
export const COLON: u8 = 58;
export const OPEN: u8 = 123;
export const CLOSE: u8 = 125;
const NEWLINE: u8 = 10;
const MINUS: u8 = 45;
const POINT: u8 = 46;
const ZERO: u8 = 48;
const OPEN_LIST: u8 = 91;
const BACKSLASH: u8 = 92;
const CLOSE_LIST: u8 = 93;

/** Whole numbers with so many digits are exact as doubles. */
const EXACT_DIGITS: i32 = 15;
const POWERS: StaticArray<f64> = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
const GOLDEN: u32 = 0x9e3779b1;
/** Nested deeper than this is left to the slow way. */
const DEEPEST: i32 = 200;

// What the last call found; a function returns the place alone.
/** Of `plainText`. */
export let hash: u32 = 0;
export let isAscii: bool = true;
/** Of `wholeNumber` and `anyNumber`. */
export let number: f64 = 0;
/** Of `truth`. */
export let isTrue: bool = false;

// @ts-ignore: a decorator of the compiler
@inline
export function at(p: i32): u8 {
  return unchecked(input[p]);
}

/** The hash of bytes; `hashOf` of names.ts in src/data makes the same. */
export function hashAt(from: usize, length: u32): u32 {
  let sum: u32 = length;
  for (; length >= 4; length -= 4, from += 4) sum = (rotl<u32>(sum, 5) ^ load<u32>(from)) * GOLDEN;
  if (length) sum = (rotl<u32>(sum, 5) ^ (load<u32>(from) & ((1 << (length * 8)) - 1))) * GOLDEN;
  return sum ^ (sum >>> 15);
}

/** Whether the bytes at two places of the memory are the same; what stands behind them may be looked at. */
export function isSame(one: usize, other: usize, length: i32): bool {
  for (; length > 8; length -= 8, one += 8, other += 8) if (load<u64>(one) != load<u64>(other)) return false;
  return length == 0 || (load<u64>(one) ^ load<u64>(other)) << (64 - length * 8) == 0;
}

/** The place behind the newline before which there are only blanks; -1 where there is something else. */
export function lineEnd(p: i32): i32 {
  p = passBlanks(p);
  return at(p) == NEWLINE ? p + 1 : -1;
}

export function passBlanks(p: i32): i32 {
  while (at(p) <= 32 && isBlank(at(p))) p++;
  return p;
}

function isBlank(byte: u8): bool {
  return byte == 32 || byte == 9 || byte == 13;
}

/** A text without escapes, from its quote to behind its other one. */
export function plainText(p: i32): i32 {
  if (at(p) != QUOTE) return -1;
  const start = p + 1;
  p = passPlain(start);
  if (at(p) != QUOTE) return -1;
  hash = hashAt(changetype<usize>(input) + start, p - start);
  return p + 1;
}

/** To the first quote, backslash or control character: sixteen bytes at a time. */
function passPlain(p: i32): i32 {
  let high = 0;
  while (true) {
    const bytes = v128.load(changetype<usize>(input) + p);
    const marks = v128.or(i8x16.eq(bytes, i8x16.splat(QUOTE)), i8x16.eq(bytes, i8x16.splat(BACKSLASH)));
    const found = i8x16.bitmask(v128.or(marks, i8x16.lt_u(bytes, i8x16.splat(32))));
    const above = i8x16.bitmask(bytes);
    if (found) {
      const length = ctz(found);
      isAscii = (high | (above & ((1 << length) - 1))) == 0;
      return p + length;
    }
    high |= above;
    p += 16;
  }
}

export function isNull(p: i32): bool {
  return is(p, 0x6c6c756e);
}

/** true or false; null is `otherwise`. */
export function truth(p: i32, otherwise: bool): i32 {
  isTrue = otherwise;
  if (is(p, 0x65757274)) {
    isTrue = true;
    return p + 4;
  }
  if (is(p, 0x736c6166) && at(p + 4) == 101) {
    isTrue = false;
    return p + 5;
  }
  return isNull(p) ? p + 4 : -1;
}

/** Whether four bytes are these; the last byte of the input is a newline, which is none of them. */
function is(p: i32, letters: u32): bool {
  return at(p) == <u8>letters && at(p + 1) == <u8>(letters >> 8) && at(p + 2) == <u8>(letters >> 16) && at(p + 3) == <u8>(letters >> 24);
}

/** A whole number that is exact as a double. */
export function wholeNumber(p: i32): i32 {
  const end = anyNumber(p);
  return end >= 0 && isWhole ? end : -1;
}

let isWhole: bool = false;

/** Any number that a double holds. */
export function anyNumber(p: i32): i32 {
  const start = p;
  const isNegative = at(p) == MINUS;
  if (isNegative) p++;
  const whole = p;
  let value: u64 = 0;
  let digit: u8;
  while ((digit = at(p) - ZERO) <= 9) {
    value = value * 10 + digit;
    p++;
  }
  let digits = p - whole;
  if (digits == 0 || (digits > 1 && at(whole) == ZERO)) return -1;
  let decimals = 0;
  isWhole = true;
  if (at(p) == POINT) {
    const point = ++p;
    while ((digit = at(p) - ZERO) <= 9) {
      value = value * 10 + digit;
      p++;
    }
    decimals = p - point;
    if (decimals == 0) return -1;
    digits += decimals;
    isWhole = false;
  }
  const isExponential = (at(p) | 32) == 101;
  if (isExponential || digits > EXACT_DIGITS) {
    isWhole = false;
    if (isExponential && (p = exponent(p)) < 0) return -1;
    number = numberIn(start, p);
    return isFinite(number) ? p : -1;
  }
  // Both exact, so their quotient is the double next to the number.
  const size = <f64>value / unchecked(POWERS[decimals]);
  number = isNegative ? -size : size;
  return p;
}

/** Any value. */
export function passValue(p: i32, depth: i32 = 0): i32 {
  const byte = at(p);
  if (byte == QUOTE) return passText(p);
  if (byte == OPEN) return passObject(p, depth);
  if (byte == OPEN_LIST) return passList(p, depth);
  return byte == MINUS || byte - ZERO <= 9 ? passNumber(p) : truth(p, false);
}

export function passText(p: i32): i32 {
  while (true) {
    p = passPlain(p + 1);
    if (at(p) == QUOTE) return p + 1;
    if (at(p) != BACKSLASH) return -1;
    p++;
    if (isEscape(at(p))) continue;
    // Surrogates are left to the slow way: half a pair is no text.
    if (at(p) != 117 || !isHex(p + 1) || ((at(p + 1) | 32) == 100 && at(p + 2) >= 56)) return -1;
    p += 4;
  }
}

/** One of "\/bfnrt. */
function isEscape(byte: u8): bool {
  return byte == QUOTE || byte == BACKSLASH || byte == 47 || byte == 98 || byte == 102 || byte == 110 || byte == 114 || byte == 116;
}

function isHex(p: i32): bool {
  for (let i = p; i < p + 4; i++) {
    const byte = at(i);
    if (byte - ZERO > 9 && (byte | 32) - 97 > 5) return false;
  }
  return true;
}

/** Gives each text of a list of plain ones in ASCII. */
export function eachText(p: i32, take: (start: i32, end: i32) => void): i32 {
  if (at(p) != OPEN_LIST) return -1;
  p = passBlanks(p + 1);
  if (at(p) == CLOSE_LIST) return p + 1;
  while (true) {
    const end = plainText(p);
    if (end < 0 || !isAscii) return -1;
    take(p + 1, end - 1);
    p = passBlanks(end);
    if (at(p) == CLOSE_LIST) return p + 1;
    if (at(p) != COMMA) return -1;
    p = passBlanks(p + 1);
  }
}

function passObject(p: i32, depth: i32): i32 {
  if (depth >= DEEPEST) return -1;
  p = passBlanks(p + 1);
  if (at(p) == CLOSE) return p + 1;
  while (true) {
    if (at(p) != QUOTE || (p = passText(p)) < 0) return -1;
    p = passBlanks(p);
    if (at(p) != COLON || (p = passValue(passBlanks(p + 1), depth + 1)) < 0) return -1;
    p = passBlanks(p);
    if (at(p) == CLOSE) return p + 1;
    if (at(p) != COMMA) return -1;
    p = passBlanks(p + 1);
  }
}

function passList(p: i32, depth: i32): i32 {
  if (depth >= DEEPEST) return -1;
  p = passBlanks(p + 1);
  if (at(p) == CLOSE_LIST) return p + 1;
  while (true) {
    if ((p = passValue(p, depth + 1)) < 0) return -1;
    p = passBlanks(p);
    if (at(p) == CLOSE_LIST) return p + 1;
    if (at(p) != COMMA) return -1;
    p = passBlanks(p + 1);
  }
}

function passNumber(p: i32): i32 {
  if (at(p) == MINUS) p++;
  const whole = p;
  p = passDigits(p);
  if (p == whole || (p - whole > 1 && at(whole) == ZERO)) return -1;
  if (at(p) == POINT) {
    const point = p + 1;
    p = passDigits(point);
    if (p == point) return -1;
  }
  return (at(p) | 32) == 101 ? exponent(p) : p;
}

function exponent(p: i32): i32 {
  p++;
  if (at(p) == 43 || at(p) == MINUS) p++;
  const end = passDigits(p);
  // One of three digits may be beyond what a double holds.
  return end == p || end - p > 2 ? -1 : end;
}

function passDigits(p: i32): i32 {
  while (at(p) - ZERO <= 9) p++;
  return p;
}
