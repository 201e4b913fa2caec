/** Appending lines to a live stream, as its writers do: to its newest segment with room, one write a line. */

import { constants } from 'node:fs';
import { mkdir, open, readdir, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { segmentName, segmentsOf, type Stream } from './segments';

/** Size at which a stream goes on in the next segment. */
export const SEGMENT_BYTES = 64 * 1024 * 1024;
const NEWLINE = 10;
/** Shared by all writers. */
const SHARED = -1;

/** Appends lines (without their newline) to the segments that all writers share. Throws where one was not taken whole. */
export async function append(folder: string, stream: Stream, lines: readonly Uint8Array[], segmentBytes = SEGMENT_BYTES): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, '.gitignore'), '*\n', { flag: 'wx', mode: 0o600 }).catch(() => undefined);
  for (const line of lines) await appendOne(folder, stream, line, segmentBytes);
}

async function appendOne(folder: string, stream: Stream, line: Uint8Array, segmentBytes: number): Promise<void> {
  const found = segmentsOf(await readdir(folder), stream).filter((segment) => segment.slot === SHARED);
  for (let number = found.at(-1)?.number ?? 0; ; number++) {
    const path = join(folder, segmentName(stream, SHARED, number));
    const file = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600);
    try {
      const status = await file.stat();
      if (!status.isFile()) throw new Error(`${path}: not a regular file`);
      if (status.size >= segmentBytes) continue;
      // A line that another writer left half done must not swallow this one.
      const torn = status.size > 0 && (await lastByte(file, status.size)) !== NEWLINE;
      const data = Buffer.concat([Buffer.from(torn ? '\n' : ''), line, Buffer.from('\n')]);
      const { bytesWritten } = await file.write(data);
      if (bytesWritten !== data.length) throw new Error(`${path}: short write (disk full?)`);
      return;
    } finally {
      await file.close();
    }
  }
}

async function lastByte(file: FileHandle, size: number): Promise<number | undefined> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0];
}
