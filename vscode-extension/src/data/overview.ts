/** What a view comes to: totals, the period before, parts, groups and what the filters can offer. */

import type { Figures, Filters, Group, Overview, Part, Range, Slice, View, WorkflowGroup } from '../../shared/protocol';
import { NO_FILTERS } from '../../shared/protocol';
import { Sums } from './aggregates';
import { PROVIDER, TIER, WORKFLOW } from './columns';
import { countedIn, type Counted } from './counted';
import { before, counted, fitting, MINUTE, parts, periodOf, type Period } from './periods';
import { oldestIn, type Snapshot } from './snapshot';

const DEAREST = 5;

export function overviewOf(
  snapshot: Snapshot, view: View, slice: Slice | null, includeTests: boolean, now: number,
): Omit<Overview, 'source' | 'alerts' | 'readAt' | 'page'> {
  const period = periodOf(view.range, now, oldestIn(snapshot));
  const open = counted(period, view.range, now);
  const cut = parts(period, slice ?? fitting(period));
  const found = new Breakdown(snapshot, open, view.filters, includeTests, cut.parts);
  return {
    revision: snapshot.revision,
    records: snapshot.records,
    period,
    totals: found.totals.figures(),
    before: view.range.name === 'all' ? null : earlier(snapshot, period, view.filters, includeTests, now),
    slice: cut.slice,
    parts: found.parts(),
    providers: found.groups(PROVIDER),
    tiers: found.groups(TIER),
    workflows: found.workflows(snapshot.runs.byWorkflow(open, includeTests)).slice(0, DEAREST),
    offered: { workflows: found.offered(WORKFLOW), providers: found.offered(PROVIDER), tiers: found.offered(TIER) },
    notes: includeTests ? { ...snapshot.notes, tests: 0 } : snapshot.notes,
  };
}

export function costOf(snapshot: Snapshot, range: Range, includeTests: boolean, now: number): { cost: number; calls: number; unknownCost: number } {
  const period = counted(periodOf(range, now, oldestIn(snapshot)), range, now);
  const { cost, calls, unknownCost } = countedIn(snapshot, period, [period], NO_FILTERS, includeTests).totals();
  return { cost, calls, unknownCost };
}

/** The period before, where records go back so far and there are calls. */
function earlier(snapshot: Snapshot, period: Period, filters: Filters, includeTests: boolean, now: number): Figures | null {
  const past = before(period, now);
  const oldest = oldestIn(snapshot);
  if (oldest === null || Math.floor(oldest / MINUTE) * MINUTE > past.since) return null;
  const sums = countedIn(snapshot, past, [past], filters, includeTests).totals();
  return sums.calls ? sums.figures() : null;
}

class Breakdown {
  readonly totals = new Sums();
  private readonly counted: Counted;
  private readonly ofParts: { readonly sums: Sums; readonly providers: Map<number, Sums>; readonly tiers: Map<number, Sums> }[];

  constructor(
    private readonly snapshot: Snapshot, period: Period, filters: Filters, includeTests: boolean, private readonly periods: readonly Period[],
  ) {
    this.counted = countedIn(snapshot, period, periods, filters, includeTests);
    this.ofParts = periods.map(() => ({ sums: new Sums(), providers: new Map(), tiers: new Map() }));
    for (const [part, group, more] of this.counted.cells()) {
      this.totals.add(more);
      const into = this.ofParts[part]!;
      into.sums.add(more);
      sumsIn(into.providers, this.code(group, PROVIDER)).add(more);
      sumsIn(into.tiers, this.code(group, TIER)).add(more);
    }
  }

  parts(): Part[] {
    return this.periods.map((period, place) => {
      const { sums, providers, tiers } = this.ofParts[place]!;
      return { ...period, figures: sums.figures(), byProvider: this.costs(providers), byTier: this.costs(tiers) };
    });
  }

  /** Dearest first. */
  groups(place: number): Group[] {
    return this.byCode(place).map(([code, sums]) => ({ name: this.name(code), ...sums.figures() }));
  }

  workflows(runs: ReadonlyMap<number, number>): WorkflowGroup[] {
    const all = this.counts(WORKFLOW);
    return this.byCode(WORKFLOW).map(([code, sums]) => {
      const count = runs.get(code) ?? 0;
      const whole = sums.calls === all.get(code);
      return { name: this.name(code), ...sums.figures(), runs: count, averageCost: count && whole ? sums.cost / count : null };
    });
  }

  offered(place: number): string[] {
    return [...this.counts(place).keys()].map((code) => this.name(code)).sort((one, other) => one.localeCompare(other));
  }

  /** Calls of the period by name, whatever the filters. */
  private counts(place: number): Map<number, number> {
    const { series } = this.snapshot.dictionary;
    const found = new Map<number, number>();
    this.counted.unfiltered.forEach((calls, id) => {
      const code = series.at(id, place);
      if (calls) found.set(code, (found.get(code) ?? 0) + calls);
    });
    return found;
  }

  private byCode(place: number): [number, Sums][] {
    const found = new Map<number, Sums>();
    for (const [, group, more] of this.counted.cells()) sumsIn(found, this.code(group, place)).add(more);
    return this.dearest(found);
  }

  private dearest(found: Map<number, Sums>): [number, Sums][] {
    return [...found].sort(([one, mine], [other, others]) =>
      others.cost - mine.cost || others.calls - mine.calls || (this.name(one) < this.name(other) ? -1 : 1));
  }

  private costs(found: Map<number, Sums>): [string, number][] {
    return this.dearest(found).filter(([, sums]) => sums.cost !== 0).map(([code, sums]) => [this.name(code), sums.cost]);
  }

  private code(group: number, place: number): number {
    return this.snapshot.dictionary.series.at(this.counted.seriesOf(group), place);
  }

  private name(code: number): string {
    return this.snapshot.dictionary.names.text(code);
  }
}

function sumsIn<K>(found: Map<K, Sums>, key: K): Sums {
  let sums = found.get(key);
  if (!sums) found.set(key, (sums = new Sums()));
  return sums;
}
