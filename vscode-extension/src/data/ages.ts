/** How old what stands in a segment is. */

import type { FileHandle } from 'node:fs/promises';
import { isObject, parse, textOf, type Json } from './json';
import { fill, openFile, readForward } from './reading';
import { timeOf } from './times';

const BLOCK = 1 << 16;
const NEWLINE = 10;

/**
 * Whether no record of a file bears a time of `before` or later. One that holds no time at all has the time at which
 * it was last written. Throws where it cannot be read.
 */
export async function isOlder(path: string, before: number): Promise<boolean> {
  const file = await openFile(path);
  if (!file) return false;
  try {
    const { size, mtimeMs } = await file.stat();
    const end = await lastNewline(file, size);
    // Newer records stand at the end, so most files are known by it.
    const found = { timed: false, young: false };
    const take = (bytes: Uint8Array, length: number): void => look(bytes.subarray(0, length), before, found);
    const lines = { take, pass: () => undefined };
    await readForward(file, await lastNewline(file, Math.max(0, end - 1)), end, lines);
    if (!found.young) await readForward(file, 0, end, { take: (bytes, length) => found.young || take(bytes, length), pass: lines.pass });
    return !found.young && (found.timed || mtimeMs < before);
  } finally {
    await file.close();
  }
}

/** The place behind the last newline below a size; 0 where there is none. */
export async function lastNewline(file: FileHandle, size: number): Promise<number> {
  const buffer = new Uint8Array(BLOCK);
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - BLOCK);
    const got = await fill(file, buffer, end - from, from);
    const found = buffer.subarray(0, got).lastIndexOf(NEWLINE);
    if (found >= 0) return from + found + 1;
    end = from;
  }
  return 0;
}

function look(lines: Uint8Array, before: number, found: { timed: boolean; young: boolean }): void {
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(NEWLINE, start);
    for (const time of timesIn(lines.subarray(start, end))) {
      found.timed = true;
      if (time >= before) found.young = true;
    }
    start = end + 1;
  }
}

function timesIn(line: Uint8Array): number[] {
  let data: Json;
  try {
    data = parse(textOf(line).text);
  } catch {
    return [];
  }
  if (!isObject(data)) return [];
  const texts = [data.completed_at, data.timestamp, data.started_at];
  return texts.filter((text) => typeof text === 'string').map(timeOf).filter((time) => !Number.isNaN(time));
}
