/** The runs of one segment: when, of what, and how to find each again. */

import type { Dictionary } from './columns';
import { grown, type Growable } from './growth';
import { runHash } from './names';
import type { RunRecord } from './records';

export const RunFlag = { test: 1, nested: 2 } as const;

const encoder = new TextEncoder();
const BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

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

  addRecord(run: RunRecord, offset: number): void {
    const id = encoder.encode(run.id);
    this.append({
      length: 1,
      time: Float64Array.of(run.time),
      workflow: Uint32Array.of(this.dictionary.names.of(run.workflow)),
      id: Uint32Array.of(runHash(run.id)),
      check: Uint32Array.of(checkOf(id)),
      parent: Uint32Array.of(run.parentId === null ? 0 : runHash(run.parentId)),
      offset: Float64Array.of(offset),
      flags: Uint8Array.of((run.underPytest ? RunFlag.test : 0) | (run.parentId === null ? 0 : RunFlag.nested)),
    });
  }

  /** Puts rows behind its own; they speak of the same dictionary. */
  append(rows: RunRows): void {
    const length = this.length + rows.length;
    for (const name of RUN_COLUMNS) {
      this.replace(name, grown<Growable>(this[name], length));
      this[name].set(rows[name].subarray(0, rows.length), this.length);
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
export type RunRows = Pick<RunTable, 'length' | RunColumn>;

/** The second hash of an id: FNV-1a. */
function checkOf(bytes: Uint8Array): number {
  let hash = BASIS;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, PRIME);
  return hash >>> 0;
}
