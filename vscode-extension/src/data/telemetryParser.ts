/** Lines to rows: the bytes of whole lines in, rows of a table and the number of lines that are no records out. */

import type { CallTable } from './callTable';
import { callIn, runIn } from './records';
import type { RunTable } from './runTable';
import * as times from './times';

const NEWLINE = 10;

export type Parse = (bytes: Uint8Array, length: number, offset: number) => number;

/** Adds the calls of whole lines to a table; returns how many lines were none. */
export function parseCalls(table: CallTable): Parse {
  return byLine(table, (line, offset) => {
    const record = callIn(line);
    if (record) table.addRecord(record, offset);
    return record !== null;
  });
}

export function parseRuns(table: RunTable): Parse {
  return byLine(table, (line, offset) => {
    const record = runIn(line);
    if (record) table.add(record, offset);
    return record !== null;
  });
}

function byLine(table: CallTable | RunTable, read: (line: Uint8Array, offset: number) => boolean): Parse {
  return (bytes, length, offset) => {
    times.local.seen = false;
    let skipped = 0;
    for (let start = 0; start < length; ) {
      const end = bytes.indexOf(NEWLINE, start);
      const line = bytes.subarray(start, end);
      if (!isBlank(line) && !read(line, offset + start)) skipped += 1;
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
