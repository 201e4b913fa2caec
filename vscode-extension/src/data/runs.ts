/** Runs of both streams as one: details, and the published line only where there are none. */

import type { Period } from './periods';
import { RunFlag, type RunTable } from './runTable';
import type { Stream } from './segments';

export interface RunPlace {
  readonly table: RunTable;
  readonly row: number;
  readonly segment: string;
}

interface Source {
  readonly stream: Stream;
  readonly table: RunTable;
  readonly segment: string;
}

export class Runs {
  private readonly details: readonly Source[];
  private readonly published: readonly Source[];
  private readonly detailed = new Set<number>();

  constructor(sources: readonly Source[]) {
    this.details = sources.filter((one) => one.stream === 'workflow_details');
    this.published = sources.filter((one) => one.stream === 'workflow_runs');
    for (const { table } of this.details) for (let row = 0; row < table.length; row++) this.detailed.add(table.key(row));
  }

  /** Each run once, those with details first. */
  *all(): Generator<RunPlace> {
    for (const { table, segment } of this.details) for (let row = 0; row < table.length; row++) yield { table, row, segment };
    for (const { table, segment } of this.published) {
      for (let row = 0; row < table.length; row++) if (!this.detailed.has(table.key(row))) yield { table, row, segment };
    }
  }

  /** Runs that count and began in the period, by the number of their workflow's name. */
  byWorkflow(period: Period, includeTests: boolean): Map<number, number> {
    const found = new Map<number, number>();
    for (const { table, row } of this.all()) {
      const time = table.time[row]!;
      if (time < period.since || time >= period.until || (table.flags[row]! & RunFlag.test && !includeTests)) continue;
      const workflow = table.workflow[row]!;
      found.set(workflow, (found.get(workflow) ?? 0) + 1);
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
