/** One range of a segment, read with a dictionary of its own: what a worker does. */

import { CallTable } from './callTable';
import { Chunk, CHUNK_ROWS, Dictionary } from './columns';
import type { Growable } from './growth';
import { packDictionary, packTable, type PackedDictionary, type PackedTable } from './pack';
import { openFile, readForward } from './reading';
import { RunTable } from './runTable';
import { parserOf } from './telemetryParser';

export interface Job {
  readonly path: string;
  readonly kind: 'calls' | 'runs';
  /** The beginnings of lines. */
  readonly from: number;
  readonly until: number;
}

export interface Done {
  readonly table: PackedTable;
  readonly dictionary: PackedDictionary;
  /** Of the table, then of the dictionary; each with a buffer of its own. */
  readonly arrays: Growable[];
  readonly skipped: number;
  /** Where the last complete line ends. */
  readonly offset: number;
  readonly device: bigint;
  readonly inode: bigint;
}

/** All jobs of a worker use the same, one after the other: what grows leaves memory behind that nobody gives back. */
let room: Chunk | null = null;

export async function readRange(job: Job): Promise<Done> {
  const dictionary = new Dictionary();
  room ??= new Chunk(0, CHUNK_ROWS);
  const table = job.kind === 'calls' ? new CallTable(dictionary, room) : new RunTable(dictionary);
  const file = await openFile(job.path);
  if (!file) throw new Error(`${job.path} is gone`);
  try {
    const { dev: device, ino: inode } = await file.stat({ bigint: true });
    let skipped = 0;
    const parse = parserOf(table);
    const offset = await readForward(file, job.from, job.until, {
      take: (bytes, length, at) => (skipped += parse(bytes, length, at)),
      pass: () => (skipped += 1),
    });
    const rows = packTable(table);
    const names = packDictionary(dictionary);
    // Without the room that was left to grow.
    const arrays = [...rows.arrays, ...names.arrays].map((array): Growable => array.slice());
    return { table: rows.plain, dictionary: names.plain, arrays, skipped, offset, device, inode };
  } finally {
    await file.close();
  }
}
