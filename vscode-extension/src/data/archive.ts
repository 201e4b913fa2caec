/** Moving whole segments out of the way of the live figures, by the protocol of src/attune_monitoring/store/archiving.py. */

import { lstat, mkdir, readdir, rename, rmdir, stat, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { append } from './append';
import { isOlder, lastNewline } from './ages';
import { fill, openFile } from './reading';
import { segmentsOf, STREAMS, type Segment } from './segments';
import { isBlank } from './telemetryParser';

export interface Archived {
  /** Where it is now; null where nothing was moved. */
  readonly path: string | null;
  /** Names of the segments. */
  readonly moved: string[];
  /** Lines that were written to a segment when it had just been moved, and are in the live stream now. */
  readonly lateLines: number;
  /** What could not be done, by the path of the file. */
  readonly problems: Record<string, string>;
}

/** What tests put in place of the world. */
export interface Stage {
  readonly now?: number;
  /** Waits until no writer can still be writing to a moved segment. */
  readonly settle?: () => Promise<void>;
  /** Is told each step before it is done. */
  readonly progress?: (step: string) => void;
}

interface Moved {
  readonly segment: Segment;
  readonly path: string;
  readonly size: number;
  /** Behind the last newline below the size. */
  readonly cut: number;
}

const ARCHIVE = 'archive';
const WORKING = /^\.(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z(?:-\d+)?$/;
const ABANDONED = 3_600_000;
const SETTLE = 1000;
const DAY = 86_400_000;
const NEWLINE = 10;

/** Moves segments to `<folder>/archive/<UTC time>/`; with `olderThanDays` only those without any younger record. */
export async function archive(folder: string, options: { olderThanDays?: number } = {}, stage: Stage = {}): Promise<Archived> {
  const now = stage.now ?? Date.now();
  const progress = stage.progress ?? (() => undefined);
  const problems: Record<string, string> = {};
  const top = join(folder, ARCHIVE);
  await finishAbandoned(top, now);
  const before = options.olderThanDays === undefined ? null : now - options.olderThanDays * DAY;
  const chosen = await choose(folder, before, problems);
  if (chosen.length === 0) return { path: null, moved: [], lateLines: 0, problems };
  await mkdir(top, { recursive: true, mode: 0o700 });
  const working = await makeWorking(top, now);
  const moved: Moved[] = [];
  for (const segment of chosen) {
    progress(`move ${segment.name}`);
    await attempt(problems, join(folder, segment.name), 'could not be moved', async () => {
      const one = await move(folder, segment, working);
      if (one) moved.push(one);
    });
  }
  progress('settle');
  await (stage.settle ?? (() => new Promise<void>((resolve) => void setTimeout(resolve, SETTLE))))();
  let lateLines = 0;
  for (const one of moved) {
    progress(`late ${one.segment.name}`);
    await attempt(problems, one.path, 'late lines were left in it', async () => {
      lateLines += await returnLateLines(folder, one, progress);
    });
  }
  progress('finish');
  return { path: await finish(working, moved, problems), moved: moved.map((one) => one.segment.name), lateLines, problems };
}

async function choose(folder: string, before: number | null, problems: Record<string, string>): Promise<Segment[]> {
  const names = await readdir(folder).catch(() => []);
  const chosen: Segment[] = [];
  for (const stream of STREAMS) {
    const found = segmentsOf(names, stream);
    const newest = new Map(found.map((segment) => [segment.slot, segment.number]));
    for (const segment of found) {
      const path = join(folder, segment.name);
      await attempt(problems, path, 'cannot be read', async () => {
        const mayBeInUse = segment.number >= newest.get(segment.slot)!;
        if (before === null || ((!mayBeInUse || (await stat(path)).mtimeMs < before) && (await isOlder(path, before)))) chosen.push(segment);
      });
    }
  }
  return chosen;
}

async function move(folder: string, segment: Segment, working: string): Promise<Moved | null> {
  const from = join(folder, segment.name);
  const path = join(working, segment.name);
  // One that cannot be read stays: its late lines could not be found.
  const file = await openFile(from);
  if (!file) return null;
  try {
    await rename(from, path);
    const { size } = await stat(path);
    return { segment, path, size, cut: await lastNewline(file, size) };
  } finally {
    await file.close();
  }
}

/** Appends to the live stream what was written to a segment after it had been moved, and cuts it off there. */
async function returnLateLines(folder: string, moved: Moved, progress: (step: string) => void): Promise<number> {
  const file = await openFile(moved.path);
  if (!file) return 0;
  try {
    const { size } = await file.stat();
    if (size <= moved.size) return 0;
    const rest = new Uint8Array(size - moved.cut);
    const lines = linesOf(rest.subarray(0, await fill(file, rest, rest.length, moved.cut)));
    for (const line of lines) {
      progress(`append to ${moved.segment.stream}`);
      await append(folder, moved.segment.stream, [line]);
    }
    progress(`cut ${moved.segment.name}`);
    if ((await stat(moved.path)).size === size) await truncate(moved.path, moved.cut);
    return lines.length;
  } finally {
    await file.close();
  }
}

function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(NEWLINE, start);
    const end = found < 0 ? bytes.length : found;
    const line = bytes.subarray(start, end);
    if (!isBlank(line)) lines.push(line);
    start = end + 1;
  }
  return lines;
}

/** Gives a folder its name that a program was killed over. */
async function finishAbandoned(top: string, now: number): Promise<void> {
  for (const name of await readdir(top).catch(() => [])) {
    const match = WORKING.exec(name);
    if (!match) continue;
    const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, number, number, number, number, number];
    if (!(now - Date.UTC(year, month - 1, day, hour, minute, second) > ABANDONED)) continue;
    for (const path of numbered(join(top, name.slice(1)))) {
      if (await exists(path)) continue;
      // Another program may have been quicker.
      await rename(join(top, name), path).catch(() => undefined);
      break;
    }
  }
}

async function makeWorking(top: string, now: number): Promise<string> {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  for (const final of numbered(join(top, time))) {
    const working = join(top, `.${basename(final)}`);
    try {
      await mkdir(working, { mode: 0o700 });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue;
      throw error;
    }
    if (!(await exists(final))) return working;
    await rmdir(working);
  }
  throw new Error('unreachable: the numbers have no end');
}

async function finish(working: string, moved: readonly Moved[], problems: Record<string, string>): Promise<string | null> {
  let path: string | null = working;
  await attempt(problems, working, 'keeps its name for now', async () => {
    if (moved.length === 0) {
      await rmdir(working);
      path = null;
      return;
    }
    const final = join(dirname(working), basename(working).slice(1));
    await rename(working, final);
    path = final;
  });
  return path;
}

function* numbered(path: string): Generator<string> {
  yield path;
  for (let number = 1; ; number++) yield `${path}-${number}`;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(() => true, () => false);
}

async function attempt(problems: Record<string, string>, path: string, what: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    // What is gone was taken by another program at the same time.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT' && !(await exists(path))) return;
    problems[path] = `${what}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

