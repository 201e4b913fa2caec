/** What is looked at, as it was kept: read with distrust, an older version may have written it. */

import type { Filters, Range, Slice, View } from './protocol';
import { NO_FILTERS, OUTCOMES, RANGES, SLICES } from './protocol';

/** null where nothing is kept, or nothing that can be used. */
export function viewOf(kept: unknown): View | null {
  const view = objectOf(kept);
  const range = rangeOf(view['range']);
  return range && { range, filters: filtersOf(view['filters']) };
}

export function sliceOf(kept: unknown): Slice | null {
  return SLICES.find((known) => known === kept) ?? null;
}

function rangeOf(kept: unknown): Range | null {
  const { name, from, to } = objectOf(kept);
  const known = RANGES.find((one) => one === name);
  if (known !== 'custom') return known ? { name: known } : null;
  return isDay(from) && isDay(to) ? { name: known, from, to } : null;
}

function filtersOf(kept: unknown): Filters {
  const { workflows, providers, tiers, outcomes, text } = objectOf(kept);
  return {
    workflows: textsOf(workflows),
    providers: textsOf(providers),
    tiers: textsOf(tiers),
    outcomes: OUTCOMES.filter((known) => textsOf(outcomes).includes(known)),
    text: typeof text === 'string' ? text : NO_FILTERS.text,
  };
}

function isDay(value: unknown): value is string {
  return typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value);
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}
