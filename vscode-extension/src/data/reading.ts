/** The complete lines of a file from an offset on, in bounded memory whatever the file holds. */

import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** A line longer than this, without its newline, is passed over. */
export const MOST_LINE_BYTES = 16 * 1024 * 1024;
/** Small enough to be parsed within one slice of the event loop. */
const BLOCK = 512 * 1024;
const NEWLINE = 10;

export interface Lines {
  /** Complete lines, which end with a newline. They are the taker's only until it returns. */
  take(bytes: Uint8Array, length: number, offset: number): void;
  /** One line that is too long to be held. */
  pass(offset: number): void;
}

/** Opens nothing that could block or never end; null where nothing is there. Throws where it is no file, or forbidden. */
export async function openFile(path: string): Promise<FileHandle | null> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new Error(`${path}: not a regular file`);
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Gives the complete lines between two offsets and returns where the last of them ends. Reads a block while one is taken. */
export async function readForward(file: FileHandle, from: number, until: number, lines: Lines): Promise<number> {
  const block = Math.max(1, Math.min(BLOCK, until - from));
  let offset = from;
  let [buffer, spare] = [new Uint8Array(block), new Uint8Array(block)];
  const read = (into: Uint8Array): Promise<number> => fill(file, into, Math.min(into.length, until - offset), offset);
  let reading = read(buffer);
  while (offset < until) {
    const got = await reading;
    const end = buffer.subarray(0, got).lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const at = offset;
      offset += end;
      reading = read(spare);
      // Whoever waits for it hears of it; until then it is nobody's.
      reading.catch(() => undefined);
      lines.take(buffer, end, at);
      [buffer, spare] = [spare, buffer];
    } else if (got < Math.min(buffer.length, until - offset) || offset + got >= until) {
      return offset;
    } else if (buffer.length <= MOST_LINE_BYTES) {
      buffer = new Uint8Array(Math.min(buffer.length * 4, MOST_LINE_BYTES + 1));
      reading = read(buffer);
    } else {
      const next = await lineEnd(file, offset + got, until, buffer);
      if (next < 0) return offset;
      lines.pass(offset);
      offset = next;
      reading = read(buffer);
    }
  }
  await reading;
  return offset;
}

/** The place behind the first newline from an offset on; -1 where there is none. */
export async function lineEnd(file: FileHandle, from: number, until: number, buffer = new Uint8Array(1 << 16)): Promise<number> {
  for (let offset = from; offset < until; ) {
    const got = await fill(file, buffer, Math.min(buffer.length, until - offset), offset);
    if (got === 0) return -1;
    const found = buffer.subarray(0, got).indexOf(NEWLINE);
    if (found >= 0) return offset + found + 1;
    offset += got;
  }
  return -1;
}

/** The line that begins at an offset, without its newline; null where it does not end. */
export async function lineAt(file: FileHandle, offset: number): Promise<Uint8Array | null> {
  for (let size = 4096; ; size = Math.min(size * 4, MOST_LINE_BYTES + 1)) {
    const buffer = new Uint8Array(size);
    const got = await fill(file, buffer, size, offset);
    const end = buffer.subarray(0, got).indexOf(NEWLINE);
    if (end >= 0) return buffer.subarray(0, end);
    if (got < size || size > MOST_LINE_BYTES) return null;
  }
}

export async function fill(file: FileHandle, buffer: Uint8Array, length: number, offset: number): Promise<number> {
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
