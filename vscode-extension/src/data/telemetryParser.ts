/** Lines to rows: the bytes of whole lines in, rows of a table and the number of lines that are no records out. */

import { CallTable } from './callTable';
import { callIn, runIn } from './records';
import type { RunTable } from './runTable';
import { Scan } from './scan';
import * as times from './times';

const NEWLINE = 10;

export type Parse = (bytes: Uint8Array, length: number, offset: number) => number;

/** How the lines of one stream are read; all places are those of the lines that were loaded. */
interface Way {
  /** Reads lines and returns the place where it stopped, as Scan has it. */
  quick(start: number, end: number): number;
  /** Reads one line that the quick way cannot; false where it is no record. */
  slow(line: Uint8Array, place: number, origin: number): boolean;
  /** Takes what was read into the table. */
  take(origin: number): void;
}

/** Adds the records of whole lines to a table; returns how many lines were none. */
export function parserOf(table: CallTable | RunTable): Parse {
  const scan = new Scan(table.dictionary);
  return table instanceof CallTable ? parser(table, scan, callsInto(table, scan)) : parser(table, scan, runsInto(table, scan));
}

function callsInto(table: CallTable, scan: Scan): Way {
  return {
    quick: (start, end) => scan.readCalls(start, end),
    slow: (line, place) => {
      const call = callIn(line);
      if (call) scan.addCall(call, place);
      return call !== null;
    },
    take: (origin) => table.append(scan.takeCalls(origin)),
  };
}

function runsInto(table: RunTable, scan: Scan): Way {
  const take = (origin: number): void => table.append(scan.takeRuns(origin));
  return {
    quick: (start, end) => scan.readRuns(start, end),
    slow: (line, place, origin) => {
      const run = runIn(line);
      // Its row comes behind those that are not taken yet.
      take(origin);
      if (run) table.addRecord(run, origin + place);
      return run !== null;
    },
    take,
  };
}

function parser(table: CallTable | RunTable, scan: Scan, way: Way): Parse {
  return (bytes, length, offset) => {
    times.local.seen = false;
    let skipped = 0;
    for (let start = 0; start < length; ) {
      const end = pieceEnd(bytes, start, length, scan.most);
      skipped += piece(bytes.subarray(start, end), offset + start, scan, way);
      start = end;
    }
    table.hasLocalTimes ||= times.local.seen;
    return skipped;
  };
}

/** Whole lines that fit, or one that does not. */
function pieceEnd(bytes: Uint8Array, start: number, length: number, most: number): number {
  if (length - start <= most) return length;
  const end = bytes.lastIndexOf(NEWLINE, start + most - 1) + 1;
  return end > start ? end : bytes.indexOf(NEWLINE, start) + 1;
}

function piece(lines: Uint8Array, origin: number, scan: Scan, way: Way): number {
  const isTooLong = lines.length > scan.most;
  scan.load(isTooLong ? new Uint8Array() : lines);
  let skipped = 0;
  for (let start = 0; start < lines.length; ) {
    if (!isTooLong) start = way.quick(start, lines.length);
    if (start >= lines.length) break;
    if (!scan.hasRoom()) {
      way.take(origin);
      scan.forget();
      continue;
    }
    const end = lines.indexOf(NEWLINE, start);
    const line = lines.subarray(start, end);
    if (!isBlank(line) && !way.slow(line, start, origin)) skipped += 1;
    start = end + 1;
  }
  way.take(origin);
  return skipped;
}

/** Python's idea of white space. */
export function isBlank(line: Uint8Array): boolean {
  for (const byte of line) if (byte !== 32 && (byte < 9 || byte > 13)) return false;
  return true;
}
