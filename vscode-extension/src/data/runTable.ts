/** The runs of one segment: when, of what, and how to find each again. */

import { runHash } from './callTable';
import type { Dictionary } from './columns';
import { grown, type Growable } from './growth';
import { hashOf } from './names';
import type { RunRecord } from './records';

export const RunFlag = { test: 1, nested: 2 } as const;

const encoder = new TextEncoder();
const BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/** One run between line and row. */
export interface RunDraft {
  time: number;
  /** The number of its name. */
  workflow: number;
  id: number;
  check: number;
  parent: number;
  test: boolean;
  nested: boolean;
}

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

  add(run: RunDraft, offset: number): void {
    const row = this.length++;
    if (row >= this.time.length) for (const name of RUN_COLUMNS) this.replace(name, grown<Growable>(this[name], this.length));
    this.time[row] = run.time;
    this.workflow[row] = run.workflow;
    this.id[row] = run.id;
    this.check[row] = run.check;
    this.parent[row] = run.parent;
    this.offset[row] = offset;
    this.flags[row] = (run.test ? RunFlag.test : 0) | (run.nested ? RunFlag.nested : 0);
  }

  addRecord(run: RunRecord, offset: number): void {
    const id = encoder.encode(run.id);
    this.add({
      time: run.time,
      workflow: this.dictionary.names.of(run.workflow),
      id: hashOf(id, 0, id.length) || 1,
      check: checkOf(id, 0, id.length),
      parent: run.parentId === null ? 0 : runHash(run.parentId),
      test: run.underPytest,
      nested: run.parentId !== null,
    }, offset);
  }

  /** Puts the rows of another table, with the same dictionary, behind those of this one. */
  append(other: RunTable): void {
    const length = this.length + other.length;
    for (const name of RUN_COLUMNS) {
      this.replace(name, grown<Growable>(this[name], length));
      this[name].set(other[name].subarray(0, other.length), this.length);
    }
    this.length = length;
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

/** The second hash of an id: FNV-1a. */
export function checkOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = BASIS;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, PRIME);
  return hash >>> 0;
}
