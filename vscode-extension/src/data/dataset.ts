/** The records of one folder: brought up to date, counted, listed and shown one by one. */

import { join } from 'node:path';
import type { Detail, Notes, Overview, Page, Range, RecordKey, Row, Slice, Sort, View } from '../../shared/protocol';
import { MOST_ROWS } from '../../shared/protocol';
import { CallTable } from './callTable';
import { Dictionary, type Chunk } from './columns';
import { codeOf, factsOf } from './detail';
import { Filter } from './filter';
import { advance, segmentsIn, type Live } from './follow';
import { costOf, overviewOf } from './overview';
import { counted, periodOf } from './periods';
import { lineAt, openFile } from './reading';
import { callIn } from './records';
import { rowFrom, rowOfRecord } from './rows';
import { Runs } from './runs';
import { segmentOf } from './segments';
import { leftOut, oldestIn, type Snapshot } from './snapshot';
import { Orders } from './sort';
import { Twins } from './twins';
import { stepsOf } from './waterfall';

export interface Reading {
  readonly revision: number;
  readonly records: number;
  readonly notes: Notes;
}

export interface DatasetOptions {
  readonly folder: string;
  /** Folder for the parsed columns; null keeps nothing. */
  readonly storage: string | null;
  /** The bundled worker for big cold reads; null: never. */
  readonly workerFile: string | null;
  readonly now?: () => number;
}

/** Rows in a portion of a whole view. */
const PORTION = 500;

interface Slot {
  readonly twins: Twins;
  /** Rows of each table that were looked at. */
  readonly marked: Map<CallTable, number>;
}

export class Dataset {
  private readonly folder: string;
  private readonly now: () => number;
  private dictionary = new Dictionary();
  private live = new Map<string, Live>();
  private slots = new Map<number, Slot>();
  private snapshot: Snapshot;
  private orders: Orders;
  private looking: Promise<boolean> | null = null;
  private isMissing = true;
  private problem: string | null = null;

  constructor(options: DatasetOptions) {
    this.folder = options.folder;
    this.now = options.now ?? Date.now;
    this.snapshot = this.taken(0);
    this.orders = new Orders(this.snapshot);
  }

  get reading(): Reading {
    const { revision, records, notes } = this.snapshot;
    return { revision, records, notes };
  }

  state(): { state: 'ready' | 'missing' | 'unreadable'; problem: string | null } {
    if (this.isMissing) return { state: 'missing', problem: null };
    return { state: this.problem !== null && this.live.size === 0 ? 'unreadable' : 'ready', problem: this.problem };
  }

  /** Looks at the segments and reads what is new; true where anything changed. Concurrent calls share one look. */
  refresh(progress?: (done: number) => void): Promise<boolean> {
    this.looking ??= this.look(progress).finally(() => (this.looking = null));
    return this.looking;
  }

  overview(view: View, slice: Slice | null, includeTests: boolean): Omit<Overview, 'source' | 'alerts'> {
    const now = this.now();
    return { ...overviewOf(this.snapshot, view, slice, includeTests, now), readAt: now };
  }

  async page(view: View, sort: Sort, offset: number, limit: number, includeTests: boolean): Promise<Page> {
    const { snapshot } = this;
    const shown = this.shown(view, sort, includeTests);
    const from = Math.max(0, Math.floor(offset));
    const ids = shown.subarray(from, from + Math.min(MOST_ROWS, Math.max(0, Math.floor(limit))));
    return { revision: snapshot.revision, total: shown.length, offset: from, rows: Array.from(ids, (id) => rowFrom(snapshot, id)) };
  }

  async *rows(view: View, sort: Sort, includeTests: boolean): AsyncGenerator<readonly Row[]> {
    const { snapshot } = this;
    const shown = this.shown(view, sort, includeTests);
    for (let from = 0; from < shown.length; from += PORTION) {
      yield Array.from(shown.subarray(from, from + PORTION), (id) => rowFrom(snapshot, id));
      await new Promise(setImmediate);
    }
  }

  async detail(key: RecordKey): Promise<Detail> {
    const line = await this.bytesOf(key);
    const record = callIn(line);
    if (!record) throw new Error('this record is gone');
    const { run, steps } = await stepsOf(record, key, this.snapshot, (other) => this.bytesOf(other));
    return { row: rowOfRecord(record, key), facts: factsOf(line), steps, run, code: codeOf(line) };
  }

  async line(key: RecordKey): Promise<string> {
    return new TextDecoder().decode(await this.bytesOf(key));
  }

  costOf(range: Range, includeTests: boolean): { cost: number; calls: number; unknownCost: number } {
    return costOf(this.snapshot, range, includeTests, this.now());
  }

  async save(): Promise<void> {
    await this.looking;
  }

  async close(): Promise<void> {
    await this.save();
  }

  private shown(view: View, sort: Sort, includeTests: boolean): Uint32Array {
    const now = this.now();
    const period = counted(periodOf(view.range, now, oldestIn(this.snapshot)), view.range, now);
    return this.orders.shown(new Filter(this.snapshot.dictionary, period, view.filters, includeTests), sort);
  }

  private async bytesOf(key: RecordKey): Promise<Uint8Array> {
    // Only segments, so that a key can name no other file.
    const file = segmentOf(key.segment) && key.offset >= 0 ? await openFile(join(this.folder, key.segment)) : null;
    if (!file) throw new Error('this record is gone');
    try {
      const line = await lineAt(file, key.offset);
      if (!line) throw new Error('this record is gone');
      return line;
    } finally {
      await file.close();
    }
  }

  private async look(progress: (done: number) => void = () => undefined): Promise<boolean> {
    const state = JSON.stringify(this.state());
    const before = this.live;
    const live = new Map<string, Live>();
    let changed = false;
    this.problem = null;
    try {
      const segments = await segmentsIn(this.folder);
      this.isMissing = segments === null;
      for (const [place, segment] of (segments ?? []).entries()) {
        const known = before.get(segment.name);
        const rows = known ? known.table.length + known.skipped : 0;
        try {
          const now = await advance(this.folder, segment, known, this.dictionary);
          if (!now) continue;
          live.set(segment.name, now);
          changed ||= now.table !== known?.table || now.table.length + now.skipped !== rows;
        } catch (error) {
          this.problem = `${segment.name}: ${error instanceof Error ? error.message : String(error)}`;
        }
        progress((place + 1) / (segments ?? []).length);
      }
    } catch (error) {
      this.isMissing = false;
      this.problem = error instanceof Error ? error.message : String(error);
    }
    changed ||= [...before.keys()].some((name) => !live.has(name));
    this.live = live;
    if (live.size === 0) this.dictionary = new Dictionary();
    changed ||= JSON.stringify(this.state()) !== state;
    if (changed) {
      this.markTwins(before);
      this.snapshot = this.taken(this.snapshot.revision + 1);
      this.orders = new Orders(this.snapshot);
    }
    return changed;
  }

  private markTwins(before: ReadonlyMap<string, Live>): void {
    for (const one of before.values()) {
      const isGone = this.live.get(one.segment.name)?.table !== one.table;
      if (isGone) this.slots.delete(one.segment.slot);
    }
    for (const { segment, table } of this.live.values()) {
      if (!(table instanceof CallTable)) continue;
      let slot = this.slots.get(segment.slot);
      if (!slot) this.slots.set(segment.slot, (slot = { twins: new Twins(this.dictionary), marked: new Map() }));
      let row = slot.marked.get(table) ?? 0;
      slot.marked.set(table, table.length);
      for (const chunk of table.chunks) {
        if (row < chunk.length) slot.twins.mark(chunk, row);
        row = Math.max(0, row - chunk.length);
      }
    }
  }

  private taken(revision: number): Snapshot {
    const chunks: Chunk[] = [];
    const segments: string[] = [];
    const runs = [];
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
        const left = leftOut(chunk);
        notes.duplicates += left.duplicates;
        notes.tests += left.tests;
        records += chunk.length - left.duplicates;
      }
    }
    return { revision, dictionary: this.dictionary, chunks, segments, runs: new Runs(runs), notes, records };
  }
}
