/** The columns of the activity feed: their titles, and in which direction a first click sorts. */

import type { Outcome, SortColumn } from '../shared/protocol';
import type { Text } from './texts';

export interface Column {
  readonly column: SortColumn;
  readonly title: Text;
  readonly number: boolean;
}

export const COLUMNS: readonly Column[] = [
  { column: 'time', title: 'Time', number: false },
  { column: 'workflow', title: 'Workflow', number: false },
  { column: 'provider', title: 'Provider', number: false },
  { column: 'model', title: 'Model', number: false },
  { column: 'tier', title: 'Tier', number: false },
  { column: 'cost', title: 'Cost', number: true },
  { column: 'tokens', title: 'Tokens', number: true },
  { column: 'status', title: 'Status', number: false },
  { column: 'latency', title: 'Latency', number: true },
];

/** Names from A, figures and times from the highest. */
export function firstDescending(column: SortColumn): boolean {
  return column === 'time' || column === 'cost' || column === 'tokens' || column === 'latency';
}

export const OUTCOME_TEXT: Readonly<Record<Outcome, Text>> = { ok: 'ok', error: 'failed', cancelled: 'cancelled' };
export const OUTCOME_ICON: Readonly<Record<Outcome, string>> = { ok: 'pass', error: 'error', cancelled: 'circle-slash' };
export const OUTCOME_TONE: Readonly<Record<Outcome, string>> = { ok: 'text-good', error: 'text-bad', cancelled: 'text-muted' };
