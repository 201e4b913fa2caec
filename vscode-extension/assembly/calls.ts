/** A call's line to a row: without JSON.parse, and without making a text. */

import * as json from './json';
import { anyNumber, at, eachText, isNull, isTrue, number, plainText, QUOTE, truth, wholeNumber } from './json';
import { forget as forgetNames, hasRoom as hasRoomForNames, nameAt, Tuples } from './names';
import { bytesOf, define, isText, readObject } from './objects';
import { timeAt } from './times';

/** Rows that are held at most. */
export const ROWS: i32 = 1 << 12;
/** A count that does not fit; where it stands instead only the host knows. */
const LARGE: u32 = 0xffff_ffff;

// Bits of a row's flags, as in columns.ts of src/data.
const ERROR: u32 = 1 << 0;
const CANCELLED: u32 = 1 << 1;
const TEST: u32 = 1 << 3;
const FALLBACK: u32 = 1 << 4;
const TRUNCATED: u32 = 1 << 5;
const COSTLESS: u32 = 1 << 6;
const WITHOUT_RUN: u32 = 1 << 7;
const WITH_RUN: u32 = 1 << 8;
const INPUT_UNKNOWN: u32 = 1 << 9;
const OUTPUT_UNKNOWN: u32 = 1 << 10;
const NO_WORKFLOW: u32 = 1 << 11;
const NO_STEP: u32 = 1 << 12;
const FAILED: u32 = 1 << 13;
// Beside them, of a draft.
const HAS_USER: u32 = 1 << 16;
const HAS_PLACEHOLDER_USER: u32 = 1 << 17;
const HAS_RUN_KEY: u32 = 1 << 18;
const IS_OF_TODAY: u32 = 1 << 19;

// The draft: what is known of the call between line and row.
/** Time, estimated, actual and baseline cost, then the counts; NaN is not known. */
export const numbers = new StaticArray<f64>(11);
const TIME = 0;
const ESTIMATED = 1;
const ACTUAL = 2;
const BASELINE = 3;
const COUNTS = 4;
/** In the order of SERIES in columns.ts. */
export const series = new StaticArray<u32>(8);
const ERROR_TYPE = 7;
/** User and session. */
export const who = new StaticArray<u32>(2);

// The rows; columns as in columns.ts, and `place` within the input.
export let rows: i32 = 0;
export const time = new StaticArray<f64>(ROWS);
export const cost = new StaticArray<f64>(ROWS);
export const baseline = new StaticArray<f64>(ROWS);
export const place = new StaticArray<u32>(ROWS);
/** One column after the other. */
export const counts = new StaticArray<u32>(ROWS * 7);
export const seriesOf = new StaticArray<u32>(ROWS);
export const whoOf = new StaticArray<u32>(ROWS);
export const run = new StaticArray<u32>(ROWS);
export const flags = new StaticArray<u16>(ROWS);

export const allSeries = new Tuples(8, 1 << 12);
export const allWho = new Tuples(2, 1 << 13);

// Fields. Those that are read alike stand together: names by their place in `series`, then in `who`, then `numbers`.
const USER = 8;
const SESSION = 9;
const TIMESTAMP = 10;
const BASELINE_COST = 13;
const INPUT_TOKENS = 14;
const RETRY_COUNT = 20;
const CALL_ID = 21;
const FALLBACK_USED = 22;
const SUCCESS = 23;
const METADATA = 24;
const RUN_ID = 25;
const ATTUNE = 26;
const INNER_RUN_ID = 27;
const FINISH_REASONS = 28;
const COST_SOURCE = 29;
const IS_CANCELLED = 30;
const DIALECT = 31;
const PID = 32;
const UNDER_PYTEST = 33;
const UNKNOWN = 34;

const CALL = 0;
defineAll(CALL, ['workflow_name', 'step_name', 'provider', 'model_id', 'tier', '', 'task_type', 'error_type', 'user_id', 'session_id'], 0);
defineAll(CALL, ['timestamp', 'estimated_cost', 'actual_cost', '', 'input_tokens', 'output_tokens', 'latency_ms'], TIMESTAMP);
defineAll(CALL, ['retry_count', 'call_id', 'fallback_used', 'success', 'metadata'], RETRY_COUNT);
const OF_METADATA = 1;
defineAll(OF_METADATA, ['run_id', 'attune'], RUN_ID);
const OF_ATTUNE = 2;
defineAll(OF_ATTUNE, ['project'], 5);
defineAll(OF_ATTUNE, ['baseline_cost'], BASELINE_COST);
defineAll(OF_ATTUNE, ['cache_read_tokens', 'cache_write_tokens', 'reasoning_tokens'], 17);
defineAll(OF_ATTUNE, ['run_id', 'finish_reasons', 'cost_source', 'cancelled', 'dialect', 'pid', 'under_pytest', 'unknown'], INNER_RUN_ID);

function defineAll(kind: i32, names: StaticArray<string>, first: i32): void {
  for (let i = 0; i < names.length; i++) if (names[i].length) define(kind, names[i], first + i);
}

const NONE = bytesOf('none');
const PLACEHOLDER = bytesOf('workflow');
const TRUNCATED_REASONS: StaticArray<StaticArray<u8>> = [
  bytesOf('length'), bytesOf('max_tokens'), bytesOf('MAX_TOKENS'), bytesOf('max_output_tokens'), bytesOf('model_length'),
];
const UNKNOWN_INPUT = bytesOf('input_tokens');
const UNKNOWN_OUTPUT = bytesOf('output_tokens');
const UNKNOWN_COST = bytesOf('estimated_cost');

/** The names that a call has which says nothing; the first ones that are known, by their numbers. */
const DEFAULTS: StaticArray<StaticArray<u8>> = [bytesOf(''), bytesOf('anthropic'), bytesOf('capable'), bytesOf('unknown')];
const OF_NOTHING: StaticArray<u32> = [0, 0, 1, 0, 2, 0, 3, 0];

/** A text's places and hash. */
class Span {
  start: i32 = 0;
  end: i32 = 0;
  hash: u32 = 0;

  /** Nothing stands at the beginning of a line but its bracket. */
  get isThere(): bool {
    return this.end > 0;
  }

  isSame(other: Span): bool {
    const length = this.end - this.start;
    const from = changetype<usize>(json.input);
    return length == other.end - other.start && json.isSame(from + this.start, from + other.start, length);
  }
}

const outerRun = new Span();
const innerRun = new Span();
const word = new Span();
/** Of the draft. */
let facts: u32 = 0;
let hasId: bool = false;
let isCostUnknown: bool = false;

/** Begins a draft of which nothing is known. */
export function begin(): void {
  memory.copy(changetype<usize>(series), changetype<usize>(OF_NOTHING), 32);
  memory.fill(changetype<usize>(who), 0, 8);
  memory.fill(changetype<usize>(numbers), 0, 88);
  unchecked((numbers[TIME] = NaN));
  unchecked((numbers[ACTUAL] = NaN));
  unchecked((numbers[BASELINE] = NaN));
  facts = NO_WORKFLOW | NO_STEP;
}

/** Makes a row of the line that begins at a place; returns the place behind it, or -1 as in json.ts. */
export function readCall(start: i32): i32 {
  begin();
  outerRun.end = innerRun.end = 0;
  hasId = isCostUnknown = false;
  let end = readObject(start, CALL, take);
  if (end >= 0) end = json.lineEnd(end);
  if (end < 0 || !hasId || isNaN(unchecked(numbers[TIME]))) return -1;
  if (isCostUnknown) unchecked((numbers[ESTIMATED] = NaN));
  if (innerRun.isThere && outerRun.isThere && innerRun.isSame(outerRun)) facts &= ~HAS_RUN_KEY;
  const its = innerRun.isThere ? innerRun : outerRun;
  add(start, its.end > its.start ? runOf(its.hash) : 0, facts);
  return end;
}

/** The hash of a run's id; 0 is none. */
export function runOf(hash: u32): u32 {
  return hash ? hash : 1;
}

/** Makes a row of the draft. `facts`: its flags, and those of a draft. */
export function add(at: u32, runHash: u32, facts: u32): void {
  const row = rows++;
  unchecked((time[row] = numbers[TIME]));
  unchecked((place[row] = at));
  const actual = unchecked(numbers[ACTUAL]);
  const paid = isNaN(actual) ? unchecked(numbers[ESTIMATED]) : actual;
  unchecked((cost[row] = paid));
  unchecked((baseline[row] = isNaN(paid) ? NaN : numbers[BASELINE]));
  if (facts & INPUT_UNKNOWN) unchecked((numbers[COUNTS] = 0));
  if (facts & OUTPUT_UNKNOWN) unchecked((numbers[COUNTS + 1] = 0));
  for (let i = 0; i < 7; i++) {
    const count = unchecked(numbers[COUNTS + i]);
    unchecked((counts[i * ROWS + row] = isLarge(count) ? LARGE : <u32>count));
  }
  // An error's type counts only where the call failed.
  if (facts & CANCELLED || !(facts & FAILED)) unchecked((series[ERROR_TYPE] = 0));
  unchecked((seriesOf[row] = allSeries.of(series)));
  if (facts & HAS_PLACEHOLDER_USER && !(facts & IS_OF_TODAY)) unchecked((who[0] = 0));
  unchecked((whoOf[row] = allWho.of(who)));
  unchecked((run[row] = runHash));
  unchecked((flags[row] = <u16>flagsOf(facts)));
}

export function hasRoom(): bool {
  return rows < ROWS && hasRoomForNames() && allSeries.hasRoom && allWho.hasRoom;
}

/** Of the rows that were settled last. */
export let earliest: f64 = Infinity;
export let latest: f64 = -Infinity;
/** All flags that one of them has. */
export let marks: u32 = 0;

/** Moves the places of some rows, and finds out what they have together. */
export function settle(from: i32, until: i32, by: u32): void {
  earliest = Infinity;
  latest = -Infinity;
  marks = 0;
  for (let row = from; row < until; row++) {
    unchecked((place[row] += by));
    marks |= unchecked(flags[row]);
    const when = unchecked(time[row]);
    if (when < earliest) earliest = when;
    if (when > latest) latest = when;
  }
}

/** The rows have been taken. */
export function empty(): void {
  rows = 0;
}

/** Forgets what its numbers mean. */
export function forget(): void {
  forgetNames(DEFAULTS);
  allSeries.forget();
  allWho.forget();
}

function take(field: i32, p: i32): i32 {
  if (field < USER) {
    if (at(p) == QUOTE && field < 2) facts &= field == 0 ? ~NO_WORKFLOW : ~NO_STEP;
    return nameInto(p, series, field);
  }
  switch (field) {
    case USER: {
      const end = nameInto(p, who, 0);
      if (end >= 0 && at(p) == QUOTE) facts |= isText(p + 1, end - 1, PLACEHOLDER) ? HAS_USER | HAS_PLACEHOLDER_USER : HAS_USER;
      return end;
    }
    case SESSION:
      return nameInto(p, who, 1);
    case TIMESTAMP: {
      const end = plainText(p);
      if (end < 0 || !json.isAscii) return -1;
      unchecked((numbers[TIME] = timeAt(p + 1, end - 1)));
      return end;
    }
    case CALL_ID: {
      const end = plainText(p);
      hasId = end > p + 2 && json.isAscii;
      return end;
    }
    case FALLBACK_USED:
      return fact(p, FALLBACK);
    case IS_CANCELLED:
      return fact(p, CANCELLED);
    case UNDER_PYTEST:
      return fact(p, TEST);
    case SUCCESS: {
      const end = truth(p, true);
      if (!isTrue) facts |= FAILED;
      return end;
    }
    case METADATA:
      return isNull(p) ? p + 4 : readObject(p, OF_METADATA, take);
    case ATTUNE:
      return isNull(p) ? p + 4 : readObject(p, OF_ATTUNE, take);
    case RUN_ID:
      facts |= HAS_RUN_KEY;
      return spanInto(p, outerRun);
    case INNER_RUN_ID:
      return spanInto(p, innerRun);
    case DIALECT: {
      const end = spanInto(p, word);
      if (word.isThere) facts |= IS_OF_TODAY;
      return end;
    }
    case COST_SOURCE: {
      const end = spanInto(p, word);
      if (word.isThere && isText(word.start, word.end, NONE)) facts |= COSTLESS;
      return end;
    }
    case PID:
      if (isNull(p)) return p + 4;
      facts |= IS_OF_TODAY;
      return wholeNumber(p);
    case FINISH_REASONS:
      return isNull(p) ? p + 4 : eachText(p, reason);
    case UNKNOWN:
      return isNull(p) ? p + 4 : eachText(p, unknown);
    default:
      return field < INPUT_TOKENS ? costInto(p, field - TIMESTAMP) : countInto(p, field - TIMESTAMP);
  }
}

function reason(start: i32, end: i32): void {
  for (let i = 0; i < TRUNCATED_REASONS.length; i++) if (isText(start, end, unchecked(TRUNCATED_REASONS[i]))) facts |= TRUNCATED;
}

function unknown(start: i32, end: i32): void {
  if (isText(start, end, UNKNOWN_INPUT)) facts |= INPUT_UNKNOWN;
  else if (isText(start, end, UNKNOWN_OUTPUT)) facts |= OUTPUT_UNKNOWN;
  else if (isText(start, end, UNKNOWN_COST)) isCostUnknown = true;
}

function fact(p: i32, bit: u32): i32 {
  const end = truth(p, false);
  if (isTrue) facts |= bit;
  return end;
}

function costInto(p: i32, place: i32): i32 {
  if (isNull(p)) return p + 4;
  const end = anyNumber(p);
  unchecked((numbers[place] = number));
  return end;
}

function countInto(p: i32, place: i32): i32 {
  if (isNull(p)) return p + 4;
  const end = wholeNumber(p);
  if (isLarge(number)) return -1;
  unchecked((numbers[place] = number));
  return end;
}

function isLarge(count: f64): bool {
  return !(count >= 0 && count < <f64>LARGE);
}

function nameInto(p: i32, into: StaticArray<u32>, place: i32): i32 {
  if (isNull(p)) return p + 4;
  const end = plainText(p);
  if (end < 0) return -1;
  const name = nameAt(p + 1, end - 1);
  if (name < 0) return -1;
  unchecked((into[place] = name));
  return end;
}

/** Where a text in ASCII stands. */
function spanInto(p: i32, span: Span): i32 {
  span.end = 0;
  if (isNull(p)) return p + 4;
  const end = plainText(p);
  if (end < 0 || !json.isAscii) return -1;
  span.start = p + 1;
  span.end = end - 1;
  span.hash = json.hash;
  return end;
}

function flagsOf(facts: u32): u32 {
  let flags = facts & (CANCELLED | TEST | FALLBACK | TRUNCATED | COSTLESS);
  if (facts & FAILED && !(facts & CANCELLED)) flags |= ERROR;
  if (facts & IS_OF_TODAY) return flags;
  flags |= facts & (INPUT_UNKNOWN | OUTPUT_UNKNOWN | NO_WORKFLOW | NO_STEP | FAILED);
  if (facts & HAS_RUN_KEY) return facts & HAS_USER ? flags : flags | WITH_RUN;
  return facts & HAS_PLACEHOLDER_USER ? flags | WITHOUT_RUN : flags;
}
