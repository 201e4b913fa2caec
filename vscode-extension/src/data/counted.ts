/** What the calls of a period come to, counted once for all filters by name: another filter is another choice of cells. */

import type { Filters } from '../../shared/protocol';
import { NO_FILTERS } from '../../shared/protocol';
import { Cells, groupsOf, SHOWN_GROUPS, Sums } from './aggregates';
import { Filter } from './filter';
import type { Period } from './periods';
import type { Snapshot } from './snapshot';

/** Of one snapshot: what is looked at, the period before it, and today's for the status bar. */
const KEPT = 4;

interface Entry {
  readonly period: Period;
  readonly parts: readonly Period[];
  readonly includeTests: boolean;
  readonly cells: Cells;
  /** By group: the first series in it. */
  readonly first: readonly number[];
}

/** By snapshot, the one that was made last at the end; nothing outlives its snapshot. */
const entries = new WeakMap<Snapshot, Entry[]>();
/** How many calls the latest filters by text show: the list asks for what the figures have just found. */
const sought = new WeakMap<Snapshot, Map<string, number>>();

export class Counted {
  constructor(private readonly entry: Entry, private readonly filter: Filter) {}

  /** By series: calls that count, whatever the filters. */
  get unfiltered(): Uint32Array {
    return this.entry.cells.unfiltered;
  }

  /** A series of a group. */
  seriesOf(group: number): number {
    return this.entry.first[group]!;
  }

  /** Cells that the filter shows; of a part and a group there are as many as outcomes. */
  *cells(): Generator<readonly [part: number, group: number, sums: Float64Array]> {
    for (const [part, group, outcome, sums] of this.entry.cells.all()) {
      if (this.filter.allows(this.seriesOf(group), outcome)) yield [part, group, sums];
    }
  }

  totals(): Sums {
    const totals = new Sums();
    for (const [, , sums] of this.cells()) totals.add(sums);
    return totals;
  }
}

export function countedIn(snapshot: Snapshot, period: Period, parts: readonly Period[], filters: Filters, includeTests: boolean): Counted {
  const filter = new Filter(snapshot.dictionary, period, filters, includeTests);
  if (!filter.isByName) {
    const counted = new Counted(made(snapshot, period, parts, filter, includeTests), filter);
    sought.set(snapshot, new Map([...(sought.get(snapshot) ?? []), [filter.name, counted.totals().calls] as const].slice(-KEPT)));
    return counted;
  }
  const known = entries.get(snapshot)?.find((one) => isOf(one, period, includeTests) && areSame(one.parts, parts));
  return new Counted(known ?? kept(snapshot, period, parts, includeTests), filter);
}

/** How many calls a filter shows; null where only a walk through the rows can tell, or nothing was counted yet. */
export function callsShown(snapshot: Snapshot, filter: Filter, includeTests: boolean): number | null {
  if (!filter.isByName) return sought.get(snapshot)?.get(filter.name) ?? null;
  const known = entries.get(snapshot)?.find((one) => isOf(one, filter.period, includeTests));
  return known ? new Counted(known, filter).totals().calls : null;
}

function kept(snapshot: Snapshot, period: Period, parts: readonly Period[], includeTests: boolean): Entry {
  const entry = made(snapshot, period, parts, new Filter(snapshot.dictionary, period, NO_FILTERS, includeTests), includeTests);
  entries.set(snapshot, [...(entries.get(snapshot) ?? []), entry].slice(-KEPT));
  return entry;
}

function made(snapshot: Snapshot, period: Period, parts: readonly Period[], filter: Filter, includeTests: boolean): Entry {
  const { dictionary, chunks } = snapshot;
  const groups = groupsOf(dictionary, SHOWN_GROUPS);
  const cells = new Cells(dictionary, groups.of, groups.first.length, parts);
  cells.addAll(chunks, filter);
  return { period, parts, includeTests, cells, first: groups.first };
}

function isOf({ period, includeTests }: Entry, other: Period, tests: boolean): boolean {
  return period.since === other.since && period.until === other.until && includeTests === tests;
}

/** A row belongs to the last part that began before it: until when that lasts decides nothing. */
function areSame(some: readonly Period[], others: readonly Period[]): boolean {
  return some.length === others.length && some.every(({ since }, place) => since === others[place]!.since);
}
