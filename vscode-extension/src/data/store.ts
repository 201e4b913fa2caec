/** What was read of a folder: brought up to date look by look, and taken as one snapshot after each. */

import { join } from 'node:path';
import { CallTable } from './callTable';
import { Reader } from './cold';
import { Dictionary, type Chunk } from './columns';
import { advance, segmentsIn, statusOf, type Live, type Status } from './follow';
import { keep, kept } from './persist';
import { Detailed, Runs, type Source } from './runs';
import type { Segment } from './segments';
import { leftOut, NOTHING_LEFT_OUT, type LeftOut, type Snapshot } from './snapshot';
import { Twins } from './twins';

/** So much is worth being written down. */
const WORTH_KEEPING = 4 * 1024 * 1024;

interface Slot {
  readonly twins: Twins;
  /** Rows of each table that were looked at. */
  readonly marked: Map<CallTable, number>;
}

export class Store {
  snapshot: Snapshot;
  private dictionary = new Dictionary();
  private live = new Map<string, Live>();
  private readonly slots = new Map<number, Slot>();
  private readonly left = new WeakMap<Chunk, LeftOut>();
  private detailed = new Detailed();
  private isMissing = true;
  private problem: string | null = null;
  private isFirstLook = true;
  /** Bytes that were read and are not kept. */
  private unkept = 0;

  constructor(
    private readonly folder: string,
    private readonly storage: string | null,
    private readonly workerFile: string | null,
    private readonly workersFrom?: number,
  ) {
    this.snapshot = this.taken(0);
  }

  state(): { state: 'ready' | 'missing' | 'unreadable'; problem: string | null } {
    if (this.isMissing) return { state: 'missing', problem: null };
    return { state: this.problem !== null && this.live.size === 0 ? 'unreadable' : 'ready', problem: this.problem };
  }

  /** Reads what is new; true where anything changed. Not to be called while it looks. */
  async look(progress: (done: number) => void): Promise<boolean> {
    const state = JSON.stringify(this.state());
    if (this.isFirstLook && this.storage !== null) await this.restore(this.storage);
    const rows = new Map(Array.from(this.live.values(), (one) => [one.table, one.table.length + one.skipped]));
    const before = this.live;
    this.live = await this.advanceAll(progress);
    let changed = this.isFirstLook || JSON.stringify(this.state()) !== state || this.live.size !== before.size;
    for (const { table, skipped } of this.live.values()) changed ||= rows.get(table) !== table.length + skipped;
    this.isFirstLook = false;
    if (!changed) return false;
    if (this.live.size === 0) this.dictionary = new Dictionary();
    await this.mark(before);
    this.snapshot = this.taken(this.snapshot.revision + 1);
    if (this.unkept >= WORTH_KEEPING) await this.keep();
    return true;
  }

  /** Writes the columns down, where anything is new; that it cannot is no harm. */
  async keep(): Promise<void> {
    if (this.storage === null || this.unkept === 0) return;
    this.unkept = 0;
    await keep(this.storage, this.folder, this.dictionary, this.live.values()).catch(() => undefined);
  }

  private async restore(storage: string): Promise<void> {
    const found = await kept(storage, this.folder);
    if (!found) return;
    this.dictionary = found.dictionary;
    this.live = found.live;
  }

  private async advanceAll(progress: (done: number) => void): Promise<Map<string, Live>> {
    const live = new Map<string, Live>();
    this.problem = null;
    let segments: Segment[] | null;
    try {
      segments = await segmentsIn(this.folder);
    } catch (error) {
      this.isMissing = false;
      this.problem = wordingOf(error);
      return live;
    }
    this.isMissing = segments === null;
    const found = await Promise.all((segments ?? []).map(async (segment) => ({ segment, status: await this.statusOf(segment) })));
    const total = found.reduce((sum, { segment, status }) => sum + this.unread(segment, status), 0);
    let done = 0;
    const reader = new Reader(this.workerFile, total, (bytes) => {
      done += bytes;
      progress(Math.min(1, done / total));
    }, this.workersFrom);
    try {
      for (const { segment, status } of found) {
        if (!status) continue;
        try {
          const advanced = await advance(this.folder, segment, status, this.live.get(segment.name), this.dictionary, reader);
          if (advanced) live.set(segment.name, advanced);
        } catch (error) {
          this.problem = `${segment.name}: ${wordingOf(error)}`;
        }
      }
    } finally {
      await reader.close();
    }
    this.unkept += done;
    return live;
  }

  private async statusOf({ name }: Segment): Promise<Status | null> {
    try {
      return await statusOf(join(this.folder, name));
    } catch (error) {
      this.problem = `${name}: ${wordingOf(error)}`;
      return null;
    }
  }

  private unread({ name }: Segment, status: Status | null): number {
    return Math.max(0, Number(status?.size ?? 0) - (this.live.get(name)?.checkpoint.offset ?? 0));
  }

  /** Recognises duplicates among what is new; of a slot that lost rows, among all of it. */
  private async mark(before: ReadonlyMap<string, Live>): Promise<void> {
    for (const { segment, table } of before.values()) {
      if (this.live.get(segment.name)?.table === table) continue;
      this.slots.delete(segment.slot);
      this.detailed = new Detailed();
    }
    for (const { segment, table } of this.live.values()) {
      if (!(table instanceof CallTable)) continue;
      let slot = this.slots.get(segment.slot);
      if (!slot) this.slots.set(segment.slot, (slot = { twins: new Twins(this.dictionary), marked: new Map() }));
      let row = slot.marked.get(table) ?? 0;
      slot.marked.set(table, table.length);
      for (const chunk of table.chunks) {
        if (row < chunk.length) {
          slot.twins.mark(chunk, row);
          this.left.set(chunk, leftOut(chunk, row, row === 0 ? NOTHING_LEFT_OUT : this.left.get(chunk)));
          if (chunk.length - row > 1000) await new Promise(setImmediate);
        }
        row = Math.max(0, row - chunk.length);
      }
    }
  }

  private taken(revision: number): Snapshot {
    const chunks: Chunk[] = [];
    const segments: string[] = [];
    const runs: Source[] = [];
    const notes = { skippedLines: 0, duplicates: 0, tests: 0 };
    let records = 0;
    for (const { segment, table, skipped } of this.live.values()) {
      notes.skippedLines += skipped;
      if (!(table instanceof CallTable)) {
        runs.push({ stream: segment.stream, table, segment: segment.name });
        continue;
      }
      for (const chunk of table.chunks) {
        chunks.push(chunk);
        segments.push(segment.name);
        const left = this.left.get(chunk) ?? NOTHING_LEFT_OUT;
        notes.duplicates += left.duplicates;
        notes.tests += left.tests;
        records += chunk.length - left.duplicates;
      }
    }
    return { revision, dictionary: this.dictionary, chunks, segments, runs: new Runs(runs, this.detailed), notes, records };
  }
}

function wordingOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
