/** Lines to rows: the bytes of whole lines in, rows of a table and the number of lines that are no records out. */

import { CallScanner } from './callScanner';
import { CallTable } from './callTable';
import { callIn, runIn } from './records';
import { RunScanner } from './runScanner';
import type { RunTable } from './runTable';
import * as times from './times';

const NEWLINE = 10;

export type Parse = (bytes: Uint8Array, length: number, offset: number) => number;

export function parserOf(table: CallTable | RunTable): Parse {
  return table instanceof CallTable ? parseCalls(table) : parseRuns(table);
}

/** Adds the calls of whole lines to a table; returns how many lines were none. */
function parseCalls(table: CallTable): Parse {
  const scanner = new CallScanner(table.dictionary.names);
  return byLine(table, (bytes, start, offset) => {
    const end = scanner.scan(bytes, start);
    if (end >= 0) table.add(scanner.row, offset);
    return end;
  }, (line, offset) => {
    const record = callIn(line);
    if (record) table.addRecord(record, offset);
    return record !== null;
  });
}

function parseRuns(table: RunTable): Parse {
  const scanner = new RunScanner(table.dictionary.names);
  return byLine(table, (bytes, start, offset) => {
    const end = scanner.scan(bytes, start);
    if (end >= 0) table.add(scanner.row, offset);
    return end;
  }, (line, offset) => {
    const record = runIn(line);
    if (record) table.addRecord(record, offset);
    return record !== null;
  });
}

/**
 * `quick` adds the line that begins at a place and returns the place of its newline, or -1 where it cannot; then
 * `slow` adds it, and returns false where it is no record.
 */
function byLine(
  table: CallTable | RunTable,
  quick: (bytes: Uint8Array, start: number, offset: number) => number,
  slow: (line: Uint8Array, offset: number) => boolean,
): Parse {
  return (bytes, length, offset) => {
    times.local.seen = false;
    let skipped = 0;
    for (let start = 0; start < length; ) {
      let end = quick(bytes, start, offset + start);
      if (end < 0) {
        end = bytes.indexOf(NEWLINE, start);
        const line = bytes.subarray(start, end);
        if (!isBlank(line) && !slow(line, offset + start)) skipped += 1;
      }
      start = end + 1;
    }
    table.hasLocalTimes ||= times.local.seen;
    return skipped;
  };
}

/** Python's idea of white space. */
export function isBlank(line: Uint8Array): boolean {
  for (const byte of line) if (byte !== 32 && (byte < 9 || byte > 13)) return false;
  return true;
}
