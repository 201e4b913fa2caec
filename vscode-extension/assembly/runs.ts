/** A run's line to a row: what only its details need is passed over. */

import { at, hash, isAscii, isNull, isTrue, lineEnd, passValue, plainText, QUOTE, truth } from './json';
import { hasRoom as hasRoomForNames, nameAt } from './names';
import { define, readObject } from './objects';
import { runOf } from './calls';
import { timeAt } from './times';

/** Rows that are held at most. */
const ROWS: i32 = 1 << 12;
const BASIS: u32 = 0x811c9dc5;
const PRIME: u32 = 0x01000193;

// Bits of a row's flags, as in runTable.ts of src/data.
const TEST: u8 = 1;
const NESTED: u8 = 2;

// Columns as in runTable.ts, and `place` within the input.
export let rows: i32 = 0;
export const time = new StaticArray<f64>(ROWS);
export const place = new StaticArray<u32>(ROWS);
export const workflow = new StaticArray<u32>(ROWS);
export const id = new StaticArray<u32>(ROWS);
export const check = new StaticArray<u32>(ROWS);
export const parent = new StaticArray<u32>(ROWS);
export const flags = new StaticArray<u8>(ROWS);

const RUN_ID = 0;
const WORKFLOW_NAME = 1;
const STARTED_AT = 2;
const STAGES = 3;
const METADATA = 4;
const ATTUNE = 5;
const PARENT_RUN_ID = 6;
const UNDER_PYTEST = 7;

const RUN = 3;
define(RUN, 'run_id', RUN_ID);
define(RUN, 'workflow_name', WORKFLOW_NAME);
define(RUN, 'started_at', STARTED_AT);
define(RUN, 'stages', STAGES);
define(RUN, 'metadata', METADATA);
const OF_METADATA = 4;
define(OF_METADATA, 'attune', ATTUNE);
const OF_ATTUNE = 5;
define(OF_ATTUNE, 'parent_run_id', PARENT_RUN_ID);
define(OF_ATTUNE, 'under_pytest', UNDER_PYTEST);

let hasWorkflow: bool = false;

/** Makes a row of the line that begins at a place; returns the place behind it, or -1 as in json.ts. */
export function readRun(start: i32): i32 {
  unchecked((time[rows] = NaN));
  unchecked((place[rows] = start));
  unchecked((id[rows] = 0));
  unchecked((parent[rows] = 0));
  unchecked((flags[rows] = 0));
  hasWorkflow = false;
  let end = readObject(start, RUN, take);
  if (end >= 0) end = lineEnd(end);
  if (end < 0 || unchecked(id[rows]) == 0 || !hasWorkflow || isNaN(unchecked(time[rows]))) return -1;
  rows++;
  return end;
}

export function hasRoom(): bool {
  return rows < ROWS && hasRoomForNames();
}

/** The rows have been taken. */
export function empty(): void {
  rows = 0;
}

function take(field: i32, p: i32): i32 {
  switch (field) {
    case RUN_ID: {
      const end = plainText(p);
      if (end > p + 2 && isAscii) {
        unchecked((id[rows] = runOf(hash)));
        unchecked((check[rows] = checkOf(p + 1, end - 1)));
      }
      return end;
    }
    case WORKFLOW_NAME: {
      if (at(p) != QUOTE) return isNull(p) ? p + 4 : -1;
      const end = plainText(p);
      const name = end < 0 ? -1 : nameAt(p + 1, end - 1);
      if (name < 0) return -1;
      unchecked((workflow[rows] = name));
      hasWorkflow = true;
      return end;
    }
    case STARTED_AT: {
      const end = plainText(p);
      if (end < 0 || !isAscii) return -1;
      unchecked((time[rows] = timeAt(p + 1, end - 1)));
      return end;
    }
    case STAGES: {
      // Whether its names are UTF-8 is for the slow way to tell.
      const end = passValue(p);
      for (let i = p; i < end; i++) if (at(i) > 127) return -1;
      return end;
    }
    case METADATA:
      return isNull(p) ? p + 4 : readObject(p, OF_METADATA, take);
    case ATTUNE:
      return isNull(p) ? p + 4 : readObject(p, OF_ATTUNE, take);
    case PARENT_RUN_ID: {
      if (isNull(p)) return p + 4;
      const end = plainText(p);
      if (end < 0 || !isAscii) return -1;
      unchecked((parent[rows] = runOf(hash)));
      unchecked((flags[rows] |= NESTED));
      return end;
    }
    default: {
      const end = truth(p, false);
      if (isTrue) unchecked((flags[rows] |= TEST));
      return end;
    }
  }
}

/** The second hash of an id: FNV-1a. */
function checkOf(start: i32, end: i32): u32 {
  let sum = BASIS;
  for (let i = start; i < end; i++) sum = (sum ^ at(i)) * PRIME;
  return sum;
}
