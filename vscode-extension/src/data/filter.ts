/** Which rows a view shows, decided once for each combination of names and then by number. */

import type { Filters, Outcome } from '../../shared/protocol';
import * as C from './columns';
import { Flag, type Chunk, type Dictionary } from './columns';
import type { Period } from './periods';

const TEXT_PLACES = [C.WORKFLOW, C.STEP, C.PROVIDER, C.MODEL, C.TIER, C.PROJECT, C.ERROR] as const;
const SOUGHT = 2;

export class Filter {
  /** Flags of rows that do not count at all. */
  private readonly never: number;
  /** By outcome, as `outcomeOf` numbers it. */
  private readonly outcomes: readonly [ok: boolean, error: boolean, cancelled: boolean];
  /** Nothing but names and outcomes decides: rows of one series and outcome are all let through, or none. */
  readonly isByName: boolean;
  /** By series: 0 filtered out, 1 let through, 2 let through and its texts have what is sought. */
  private readonly series: Uint8Array;
  private readonly who: Uint8Array | null;

  /** Of the same dictionary: filters of one name let the same rows through. */
  readonly name: string;

  /** Rows of chunks that the dictionary did not have yet need another. */
  constructor(dictionary: Dictionary, readonly period: Period, filters: Filters, includeTests: boolean) {
    this.name = JSON.stringify([period.since, period.until, filters, includeTests]);
    this.never = Flag.duplicate | (includeTests ? 0 : Flag.test);
    const allowed = (outcome: Outcome): boolean => filters.outcomes.length === 0 || filters.outcomes.includes(outcome);
    this.outcomes = [allowed('ok'), allowed('error'), allowed('cancelled')];
    const sought = filters.text.trim().toLowerCase();
    this.isByName = sought === '';
    const has = sought === '' ? () => true : containing(dictionary, sought);
    const workflows = allowing(dictionary, filters.workflows);
    const providers = allowing(dictionary, filters.providers);
    const tiers = allowing(dictionary, filters.tiers);
    const { series, who } = dictionary;
    this.series = new Uint8Array(series.size);
    for (let id = 0; id < series.size; id++) {
      if (!workflows(series.at(id, C.WORKFLOW)) || !providers(series.at(id, C.PROVIDER)) || !tiers(series.at(id, C.TIER))) continue;
      this.series[id] = TEXT_PLACES.some((place) => has(series.at(id, place))) ? SOUGHT : 1;
    }
    this.who = sought === '' ? null : new Uint8Array(who.size);
    for (let id = 0; this.who && id < who.size; id++) {
      this.who[id] = Number(has(who.at(id, C.USER)) || has(who.at(id, C.SESSION)));
    }
  }

  /** Whether a chunk may hold rows of the period. */
  reaches(chunk: Chunk): boolean {
    return chunk.latest >= this.period.since && chunk.earliest < this.period.until;
  }

  /** Whether a row counts in the period, whatever the filters. */
  counts(chunk: Chunk, row: number): boolean {
    const time = chunk.time[row]!;
    return (chunk.flags[row]! & this.never) === 0 && time >= this.period.since && time < this.period.until;
  }

  /** Whether a row that counts is let through. */
  shows(chunk: Chunk, row: number): boolean {
    const found = this.series[chunk.series[row]!]!;
    if (found === 0) return false;
    return this.outcomes[outcomeOf(chunk.flags[row]!)] && (found === SOUGHT || this.who![chunk.who[row]!] === 1);
  }

  /** Whether rows of a series and an outcome may be let through; where `isByName`, whether they are. */
  allows(series: number, outcome: number): boolean {
    return this.series[series] !== 0 && this.outcomes[outcome] === true;
  }
}

/** 0 went well, 1 failed, 2 was cancelled. */
export function outcomeOf(flags: number): 0 | 1 | 2 {
  return flags & Flag.cancelled ? 2 : flags & Flag.error ? 1 : 0;
}

function allowing(dictionary: Dictionary, names: readonly string[]): (code: number) => boolean {
  if (names.length === 0) return () => true;
  const codes = new Set(names.map((name) => dictionary.names.find(name)));
  return (code) => codes.has(code);
}

function containing(dictionary: Dictionary, sought: string): (code: number) => boolean {
  const known = new Map<number, boolean>();
  return (code) => {
    let found = known.get(code);
    if (found === undefined) {
      found = dictionary.names.text(code).toLowerCase().includes(sought);
      known.set(code, found);
    }
    return found;
  };
}
