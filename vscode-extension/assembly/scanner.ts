/**
 * What the host calls: lines in, rows of columns out.
 *
 * The host writes lines into `input`, has them read, and takes the rows with the names and combinations that they speak
 * of. An array is exported as the place of its first value in the memory. Nothing is allocated after the start.
 */

import * as call from './calls';
import * as run from './runs';

export { input, MOST } from './json';
export { ends, foreign, hashes, names, pool } from './names';
export { begin, earliest, latest, marks, numbers, series, settle, who } from './calls';

/** Columns of calls, in the order of columns.ts in src/data. */
export const callColumns: StaticArray<usize> = [
  changetype<usize>(call.time), changetype<usize>(call.cost), changetype<usize>(call.baseline), changetype<usize>(call.place),
  count(0), count(1), count(2), count(3), count(4), count(5), count(6),
  changetype<usize>(call.seriesOf), changetype<usize>(call.whoOf), changetype<usize>(call.run), changetype<usize>(call.flags),
];

function count(place: i32): usize {
  return changetype<usize>(call.counts) + place * call.ROWS * 4;
}

export const allSeries = changetype<usize>(call.allSeries.values);
export const allWho = changetype<usize>(call.allWho.values);
/** Columns of runs, in the order of runTable.ts in src/data. */
export const runColumns: StaticArray<usize> = [
  changetype<usize>(run.time), changetype<usize>(run.workflow), changetype<usize>(run.id), changetype<usize>(run.check),
  changetype<usize>(run.parent), changetype<usize>(run.place), changetype<usize>(run.flags),
];

/**
 * Reads the calls of whole lines between two places of the input. Returns where it stopped: at the end, at a line that
 * only the slow way can read, or where there is no room.
 */
export function readCalls(start: i32, end: i32): i32 {
  while (start < end && call.hasRoom()) {
    const next = call.readCall(start);
    if (next < 0) break;
    start = next;
  }
  return start;
}

/** As `readCalls`. */
export function readRuns(start: i32, end: i32): i32 {
  while (start < end && run.hasRoom()) {
    const next = run.readRun(start);
    if (next < 0) break;
    start = next;
  }
  return start;
}

/** Makes a row of the draft, as the slow way has filled it in. */
export function addCall(place: u32, run: u32, facts: u32): void {
  call.add(place, run, facts);
}

export function hasRoom(): bool {
  return call.hasRoom() && run.hasRoom();
}

export function callRows(): i32 {
  return call.rows;
}

export function seriesSize(): u32 {
  return call.allSeries.size;
}

export function whoSize(): u32 {
  return call.allWho.size;
}

export function runRows(): i32 {
  return run.rows;
}

/** The rows have been taken. */
export function empty(): void {
  call.empty();
  run.empty();
}

/** Forgets what the numbers of names and combinations mean. */
export function forget(): void {
  call.forget();
}
