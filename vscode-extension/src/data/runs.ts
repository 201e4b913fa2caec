/** Runs of both streams as one: details, and the published line only where there are none. */

import type { Period } from './periods';
import { RunFlag, type RunTable } from './runTable';
import type { Stream } from './segments';

export interface RunPlace {
  readonly table: RunTable;
  readonly row: number;
  readonly segment: string;
}

export interface Source {
  readonly stream: Stream;
  readonly table: RunTable;
  readonly segment: string;
}

/** The ids of the runs that have details; it grows with their tables. */
export class Detailed {
  readonly keys = new Set<number>();
  private readonly seen = new Map<RunTable, number>();

  update(tables: readonly RunTable[]): void {
    for (const table of tables) {
      for (let row = this.seen.get(table) ?? 0; row < table.length; row++) this.keys.add(table.key(row));
      this.seen.set(table, table.length);
    }
  }
}

export class Runs {
  private readonly details: readonly Source[];
  private readonly published: readonly Source[];

  constructor(sources: readonly Source[], private readonly detailed = new Detailed()) {
    this.details = sources.filter((one) => one.stream === 'workflow_details');
    this.published = sources.filter((one) => one.stream === 'workflow_runs');
    detailed.update(this.details.map((one) => one.table));
  }

  /** Each run once, those with details first. */
  *all(): Generator<RunPlace> {
    for (const { table, segment } of this.details) for (let row = 0; row < table.length; row++) yield { table, row, segment };
    for (const { table, segment } of this.published) {
      for (let row = 0; row < table.length; row++) if (!this.detailed.keys.has(table.key(row))) yield { table, row, segment };
    }
  }

  /** Runs that count and began in the period, by the number of their workflow's name. */
  byWorkflow({ since, until }: Period, includeTests: boolean): Map<number, number> {
    const found = new Map<number, number>();
    for (const { table, stream } of [...this.details, ...this.published]) {
      for (let row = 0; row < table.length; row++) {
        const time = table.time[row]!;
        if (time < since || time >= until || (table.flags[row]! & RunFlag.test && !includeTests)) continue;
        if (stream === 'workflow_runs' && this.detailed.keys.has(table.key(row))) continue;
        const workflow = table.workflow[row]!;
        found.set(workflow, (found.get(workflow) ?? 0) + 1);
      }
    }
    return found;
  }

  /** Runs whose id may be the one with this hash, or that say so of the run around them. */
  withHash(hash: number, column: 'id' | 'parent'): RunPlace[] {
    const found: RunPlace[] = [];
    for (const place of this.all()) if (place.table[column][place.row] === hash) found.push(place);
    return found;
  }
}
