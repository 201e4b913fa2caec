/** The parsed columns in one file, so that the next start reads only what is new. Whatever is odd about it: it is not there. */

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dictionary } from './columns';
import { holds, type Checkpoint, type Live } from './follow';
import type { Growable } from './growth';
import { DICTIONARY_ARRAYS, packDictionary, packTable, unpackDictionary, unpackTable, type PackedDictionary, type PackedTable } from './pack';
import { fill, openFile } from './reading';
import { segmentOf } from './segments';

/** To be raised with every change of the columns or of what a line means. */
const VERSION = 2;
const MAGIC = 0x41_54_54_4e;
const PRELUDE = 16;
const KINDS = { Uint8Array, Uint16Array, Uint32Array, Float64Array } as const;
type Kind = keyof typeof KINDS;

interface Header {
  readonly version: number;
  readonly folder: string;
  /** What times without an offset were taken to mean. */
  readonly zone: string;
  readonly dictionary: PackedDictionary;
  readonly segments: readonly {
    readonly name: string;
    readonly table: PackedTable;
    /** Of the arrays of the table. */
    readonly arrays: number;
    readonly skipped: number;
    readonly device: string;
    readonly inode: string;
    readonly offset: number;
    readonly check: string;
  }[];
  /** In the order of the file: those of the dictionary first. */
  readonly arrays: readonly { readonly kind: Kind; readonly length: number; readonly sum: number }[];
}

export interface Kept {
  readonly dictionary: Dictionary;
  readonly live: Map<string, Live>;
}

/** Writes the columns; a reader finds the old file or the new one, never a part. */
export async function keep(storage: string, folder: string, dictionary: Dictionary, live: Iterable<Live>): Promise<void> {
  const names = packDictionary(dictionary);
  const arrays = [...names.arrays];
  const segments = Array.from(live, ({ segment, table, skipped, checkpoint }) => {
    const packed = packTable(table);
    arrays.push(...packed.arrays);
    return {
      name: segment.name, table: packed.plain, arrays: packed.arrays.length, skipped, offset: checkpoint.offset,
      check: checkpoint.check, device: String(checkpoint.device), inode: String(checkpoint.inode),
    };
  });
  const described = arrays.map((array) => ({ kind: array.constructor.name as Kind, length: array.length, sum: sumOf(array) }));
  const header: Header = { version: VERSION, folder, zone: zone(), dictionary: names.plain, segments, arrays: described };
  await mkdir(storage, { recursive: true });
  const path = pathIn(storage, folder);
  const fresh = `${path}.${randomUUID()}`;
  try {
    const file = await open(fresh, 'wx', 0o600);
    try {
      await write(file, header, arrays);
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

/** What is kept of a folder, without the segments that are no longer what they were; null where nothing is. */
export async function kept(storage: string, folder: string): Promise<Kept | null> {
  try {
    const file = await openFile(pathIn(storage, folder));
    if (!file) return null;
    try {
      return await restored(file, folder);
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}

async function write(file: FileHandle, header: Header, arrays: readonly Growable[]): Promise<void> {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const prelude = Buffer.alloc(PRELUDE);
  prelude.writeUInt32LE(MAGIC, 0);
  prelude.writeUInt32LE(text.length, 4);
  prelude.writeUInt32LE(sumOf(text), 8);
  await file.appendFile(Buffer.concat([prelude, text]));
  for (const array of arrays) await file.appendFile(bytesOf(array));
  await file.sync();
}

async function restored(file: FileHandle, folder: string): Promise<Kept | null> {
  const { size } = await file.stat();
  const prelude = Buffer.alloc(PRELUDE);
  await exactly(file, prelude, 0);
  const length = prelude.readUInt32LE(4);
  if (prelude.readUInt32LE(0) !== MAGIC || length > size) return null;
  const text = Buffer.alloc(length);
  await exactly(file, text, PRELUDE);
  if (sumOf(text) !== prelude.readUInt32LE(8)) return null;
  const header = JSON.parse(text.toString()) as Header;
  if (header.version !== VERSION || header.folder !== folder) return null;
  const hasLocalTimes = header.segments.some(({ table }) => table.hasLocalTimes);
  if (hasLocalTimes && header.zone !== zone()) return null;
  const arrays: Growable[] = [];
  let offset = PRELUDE + length;
  for (const { kind, length, sum } of header.arrays) {
    const array = new KINDS[kind](length);
    await exactly(file, bytesOf(array), offset);
    if (sumOf(array) !== sum) return null;
    arrays.push(array);
    offset += array.byteLength;
  }
  const dictionary = unpackDictionary(header.dictionary, arrays.splice(0, DICTIONARY_ARRAYS));
  const live = new Map<string, Live>();
  for (const { name, table, arrays: count, skipped, device, inode, offset: end, check } of header.segments) {
    const segment = segmentOf(name);
    const columns = arrays.splice(0, count);
    const checkpoint: Checkpoint = { device: BigInt(device), inode: BigInt(inode), offset: end, check };
    if (!segment || !(await stands(join(folder, name), checkpoint))) continue;
    // Neither size nor time is that of any look, so the next one looks closely.
    live.set(name, { segment, table: unpackTable(table, columns, dictionary), checkpoint, skipped, size: -1n, changed: -1n });
  }
  return { dictionary, live };
}

async function stands(path: string, checkpoint: Checkpoint): Promise<boolean> {
  const file = await openFile(path).catch(() => null);
  if (!file) return false;
  try {
    return await holds(checkpoint, file);
  } finally {
    await file.close();
  }
}

async function exactly(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  if ((await fill(file, bytes, bytes.length, offset)) !== bytes.length) throw new Error('the file is cut');
}

function bytesOf(array: Growable): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function sumOf(array: Growable | Uint8Array): number {
  const words = array.byteOffset % 4 === 0 ? new Uint32Array(array.buffer, array.byteOffset, array.byteLength >> 2) : new Uint32Array();
  let sum = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) sum = Math.imul(sum ^ words[i]!, 0x01000193);
  const rest = new Uint8Array(array.buffer, array.byteOffset + words.length * 4, array.byteLength - words.length * 4);
  for (let i = 0; i < rest.length; i++) sum = Math.imul(sum ^ rest[i]!, 0x01000193);
  return sum >>> 0;
}

/** The zone's name, and its offsets now and in half a year, for zones without a name. */
function zone(): string {
  const year = new Date().getFullYear();
  const offsets = [0, 6].map((month) => new Date(year, month, 1).getTimezoneOffset());
  return [new Intl.DateTimeFormat().resolvedOptions().timeZone, ...offsets].join(' ');
}

function pathIn(storage: string, folder: string): string {
  return join(storage, `columns-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}.bin`);
}
