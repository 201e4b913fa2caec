/** Following the segments of a folder: what is new of each is read once, whatever happens to the files meanwhile. */

import { createHash } from 'node:crypto';
import { readdir, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CallTable } from './callTable';
import type { Dictionary } from './columns';
import type { Reader } from './cold';
import { fill, isMissing, openFile } from './reading';
import { RunTable } from './runTable';
import { segmentsOf, type Segment } from './segments';

const HEAD_BYTES = 256;
const TAIL_BYTES = 256;

/** Which file it is, and what it held where reading stopped. */
export interface Checkpoint {
  readonly device: bigint;
  readonly inode: bigint;
  /** The beginning of a line. */
  readonly offset: number;
  /** Of the first and of the last bytes before the offset. */
  readonly check: string;
}

export interface Live {
  readonly segment: Segment;
  readonly table: CallTable | RunTable;
  readonly checkpoint: Checkpoint;
  /** At the last look: while they stay, there is nothing to read. */
  readonly size: bigint;
  readonly changed: bigint;
  readonly skipped: number;
}

export interface Status {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

/** Throws where the folder is there and cannot be read; null where it is not there. */
export async function segmentsIn(folder: string): Promise<Segment[] | null> {
  try {
    return segmentsOf(await readdir(folder));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

export async function statusOf(path: string): Promise<Status | null> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** One segment, with this status a moment ago, brought up to date; null where it is no longer in its place. */
export async function advance(
  folder: string, segment: Segment, status: Status, before: Live | undefined, dictionary: Dictionary, reader: Reader,
): Promise<Live | null> {
  const path = join(folder, segment.name);
  if (before && isAt(before.checkpoint, status) && before.size === status.size && before.changed === status.mtimeNs) return before;
  const file = await openFile(path);
  if (!file) return null;
  try {
    const known = before && (await holds(before.checkpoint, file)) ? before : undefined;
    const live = await read(file, path, segment, known, dictionary, reader);
    const after = await statusOf(path);
    // Moved or replaced while it was read: what was read does not stand there.
    return after && isAt(live.checkpoint, after) ? live : null;
  } finally {
    await file.close();
  }
}

async function read(
  file: FileHandle, path: string, segment: Segment, before: Live | undefined, dictionary: Dictionary, reader: Reader,
): Promise<Live> {
  const status = await file.stat({ bigint: true });
  const table = before?.table ?? newTable(segment, dictionary);
  const { offset, skipped } = await reader.read({ path, file, table }, before?.checkpoint.offset ?? 0, Number(status.size));
  return {
    segment, table, skipped: (before?.skipped ?? 0) + skipped, size: status.size, changed: status.mtimeNs,
    checkpoint: { device: status.dev, inode: status.ino, offset, check: await checkOf(file, offset) },
  };
}

export function newTable(segment: Segment, dictionary: Dictionary): CallTable | RunTable {
  return segment.stream === 'llm_calls' ? new CallTable(dictionary) : new RunTable(dictionary);
}

function isAt(checkpoint: Checkpoint, status: Status): boolean {
  return checkpoint.device === status.dev && checkpoint.inode === status.ino;
}

/** Whether what was read is still there: the same file, no shorter, with the same beginning and the same end. */
export async function holds(checkpoint: Checkpoint, file: FileHandle): Promise<boolean> {
  const status = await file.stat({ bigint: true });
  return isAt(checkpoint, status) && Number(status.size) >= checkpoint.offset &&
    (await checkOf(file, checkpoint.offset)) === checkpoint.check;
}

async function checkOf(file: FileHandle, offset: number): Promise<string> {
  const buffer = new Uint8Array(HEAD_BYTES + TAIL_BYTES);
  const head = await fill(file, buffer, Math.min(HEAD_BYTES, offset), 0);
  const from = Math.max(0, offset - TAIL_BYTES);
  const tail = await fill(file, buffer.subarray(head), offset - from, from);
  return createHash('sha256').update(buffer.subarray(0, head + tail)).digest('hex');
}
