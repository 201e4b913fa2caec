/** The time of a text as today's writers write it: `2026-01-31T12:34:56.123456Z`. The host reads all others. */

import { midnight, timeIn } from './host';
import { at } from './json';

const ZERO: u8 = 48;
const MINUS: u8 = 45;
const COLON: u8 = 58;
const POINT: u8 = 46;
const T: u8 = 84;
const Z: u8 = 90;

let knownDay: i32 = -1;
let knownMidnight: f64 = 0;

/** Milliseconds since the epoch; NaN where there is none. */
export function timeAt(p: i32, end: i32): f64 {
  const time = end - p == 27 ? quickly(p) : NaN;
  return isNaN(time) ? timeIn(p, end) : time;
}

function quickly(p: i32): f64 {
  if (at(p + 26) != Z || at(p + 10) != T || at(p + 19) != POINT) return NaN;
  if (at(p + 4) != MINUS || at(p + 7) != MINUS || at(p + 13) != COLON || at(p + 16) != COLON) return NaN;
  const century = two(p);
  const year = two(p + 2);
  const month = two(p + 5);
  const day = two(p + 8);
  const hour = two(p + 11);
  const minute = two(p + 14);
  const second = two(p + 17);
  const one = two(p + 20);
  const other = two(p + 22);
  const last = two(p + 24);
  if ((century | year | month | day | hour | minute | second | one | other | last) < 0) return NaN;
  if (hour > 23 || minute > 59 || second > 59) return NaN;
  const date = ((century * 100 + year) * 100 + month) * 100 + day;
  if (date != knownDay) {
    knownMidnight = midnight(century * 100 + year, month, day);
    knownDay = date;
  }
  return knownMidnight + <f64>(((hour * 60 + minute) * 60 + second) * 1000) + <f64>((one * 100 + other) * 100 + last) / 1000;
}

/** Two digits; less than nothing where they are none. */
function two(p: i32): i32 {
  const tens = at(p) - ZERO;
  const ones = at(p + 1) - ZERO;
  return tens <= 9 && ones <= 9 ? <i32>tens * 10 + ones : -1;
}
