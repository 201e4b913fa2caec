/** The runs of one segment: when, of what, and how to find each again. */

import type { Dictionary } from './columns';
import { grown, type Growable } from './growth';
import { hashOf } from './names';
import type { RunRecord } from './records';

export const RunFlag = { test: 1, nested: 2 } as const;

const encoder = new TextEncoder();
const OTHER_BASIS = 0x9747b28c;

export class RunTable {
  length = 0;
  /** As in CallTable. */
  hasLocalTimes = false;
  time = new Float64Array(16);
  workflow = new Uint32Array(16);
  /** Two independent hashes of the id: the first is that of the calls' `run`. */
  id = new Uint32Array(16);
  check = new Uint32Array(16);
  /** Hash of the enclosing run's id; 0 is none. */
  parent = new Uint32Array(16);
  offset = new Float64Array(16);
  flags = new Uint8Array(16);

  constructor(readonly dictionary: Dictionary) {}

  add(run: RunRecord, offset: number): void {
    const row = this.length++;
    for (const name of RUN_COLUMNS) this.replace(name, grown<Growable>(this[name], this.length));
    const id = encoder.encode(run.id);
    this.time[row] = run.time;
    this.workflow[row] = this.dictionary.names.of(run.workflow);
    this.id[row] = hashOf(id, 0, id.length) || 1;
    this.check[row] = hashOf(id, 0, id.length, OTHER_BASIS);
    this.parent[row] = parentHash(run.parentId);
    this.offset[row] = offset;
    this.flags[row] = (run.underPytest ? RunFlag.test : 0) | (run.parentId === null ? 0 : RunFlag.nested);
  }

  /** Both hashes of a row's id as one number, unique for all practical purposes. */
  key(row: number): number {
    return this.id[row]! * 2 ** 21 + (this.check[row]! >>> 11);
  }

  replace(name: RunColumn, array: Growable): void {
    (this as unknown as Record<RunColumn, Growable>)[name] = array;
  }
}

export const RUN_COLUMNS = ['time', 'workflow', 'id', 'check', 'parent', 'offset', 'flags'] as const;
export type RunColumn = (typeof RUN_COLUMNS)[number];

function parentHash(id: string | null): number {
  if (id === null) return 0;
  const bytes = encoder.encode(id);
  return hashOf(bytes, 0, bytes.length) || 1;
}
