/** The records of one folder: brought up to date, counted, listed and shown one by one. */

import { join } from 'node:path';
import type { Detail, Notes, Overview, Page, Range, RecordKey, Row, Slice, Sort, View } from '../../shared/protocol';
import { MOST_ROWS } from '../../shared/protocol';
import { callsShown } from './counted';
import { codeOf, factsOf } from './detail';
import { Filter } from './filter';
import { costOf, overviewOf } from './overview';
import { counted, periodOf } from './periods';
import { lineAt, openFile } from './reading';
import { callIn } from './records';
import { rowFrom, rowOfRecord } from './rows';
import { segmentOf } from './segments';
import { oldestIn } from './snapshot';
import { Orders } from './sort';
import { Store } from './store';
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
  /** How many bytes make a read a big one; as it is best by default. */
  readonly workersFrom?: number;
  readonly now?: () => number;
}

/** Rows in a portion of a whole view. */
const PORTION = 500;

export class Dataset {
  private readonly folder: string;
  private readonly now: () => number;
  private readonly store: Store;
  private orders: Orders;
  private looking: Promise<boolean> | null = null;
  private keeping: Promise<void> = Promise.resolve();

  constructor({ folder, storage, workerFile, workersFrom, now }: DatasetOptions) {
    this.folder = folder;
    this.now = now ?? Date.now;
    this.store = new Store(folder, storage, workerFile, workersFrom);
    this.orders = new Orders(this.store.snapshot);
  }

  get reading(): Reading {
    const { revision, records, notes } = this.store.snapshot;
    return { revision, records, notes };
  }

  state(): { state: 'ready' | 'missing' | 'unreadable'; problem: string | null } {
    return this.store.state();
  }

  /**
   * Looks at the segments and reads what is new; true where anything changed. Concurrent calls share one look.
   *
   * progress: is told how much of what is new was read, 0 to 1.
   */
  refresh(progress: (done: number) => void = () => undefined): Promise<boolean> {
    this.looking ??= this.keeping.then(() => this.store.look(progress)).finally(() => (this.looking = null));
    return this.looking;
  }

  overview(view: View, slice: Slice | null, includeTests: boolean): Omit<Overview, 'source' | 'alerts' | 'page'> {
    const now = this.now();
    return { ...overviewOf(this.store.snapshot, view, slice, includeTests, now), readAt: now };
  }

  page(view: View, sort: Sort, offset: number, limit: number, includeTests: boolean): Page {
    const { snapshot } = this.store;
    const from = Math.max(0, Math.floor(offset));
    const { ids, total } = this.shown(view, sort, includeTests, from, Math.min(MOST_ROWS, Math.max(0, Math.floor(limit))));
    return { revision: snapshot.revision, total, offset: from, rows: Array.from(ids, (id) => rowFrom(snapshot, id)) };
  }

  /** All rows of a view, in portions. */
  async *rows(view: View, sort: Sort, includeTests: boolean): AsyncGenerator<readonly Row[]> {
    const { snapshot } = this.store;
    const { ids: shown } = this.shown(view, sort, includeTests);
    for (let from = 0; from < shown.length; from += PORTION) {
      yield Array.from(shown.subarray(from, from + PORTION), (id) => rowFrom(snapshot, id));
      await new Promise(setImmediate);
    }
  }

  /** Rejects where the record is gone. */
  async detail(key: RecordKey): Promise<Detail> {
    const { snapshot } = this.store;
    const line = await this.bytesOf(key);
    const record = callIn(line);
    if (!record) throw gone();
    const { run, steps } = await stepsOf(record, key, snapshot, (other) => this.bytesOf(other));
    return { row: rowOfRecord(record, key), facts: factsOf(line), steps, run, code: codeOf(line) };
  }

  /** The line as it stands in the file. */
  async line(key: RecordKey): Promise<string> {
    return new TextDecoder().decode(await this.bytesOf(key));
  }

  costOf(range: Range, includeTests: boolean): { cost: number; calls: number; unknownCost: number } {
    return costOf(this.store.snapshot, range, includeTests, this.now());
  }

  /** Keeps the columns for the next start. */
  async save(): Promise<void> {
    await this.looking;
    this.keeping = this.keeping.then(() => this.store.keep());
    await this.keeping;
  }

  async close(): Promise<void> {
    await this.save();
  }

  private shown(view: View, sort: Sort, includeTests: boolean, from = 0, limit = Infinity): { readonly ids: Uint32Array; readonly total: number } {
    const { snapshot } = this.store;
    if (this.orders.snapshot !== snapshot) this.orders = this.orders.after(snapshot);
    const now = this.now();
    const period = counted(periodOf(view.range, now, oldestIn(snapshot)), view.range, now);
    const filter = new Filter(snapshot.dictionary, period, view.filters, includeTests);
    return this.orders.shown(filter, sort, from, limit, callsShown(snapshot, filter, includeTests));
  }

  private async bytesOf(key: RecordKey): Promise<Uint8Array> {
    // Only segments, so that a key can name no other file.
    const isPlace = segmentOf(key.segment) !== null && Number.isSafeInteger(key.offset) && key.offset >= 0;
    const file = isPlace ? await openFile(join(this.folder, key.segment)) : null;
    if (!file) throw gone();
    try {
      const line = await lineAt(file, key.offset);
      if (!line) throw gone();
      return line;
    } finally {
      await file.close();
    }
  }
}

function gone(): Error {
  return new Error('this record is gone');
}
