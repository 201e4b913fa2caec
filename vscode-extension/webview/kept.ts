/** What the page remembers of itself while it is hidden; read with distrust, an older version may have written it. */

import type { HelloQuestion, Rows, Slice, Sort, View } from '../shared/protocol';
import { NEWEST_FIRST, SORT_COLUMNS } from '../shared/protocol';
import { sliceOf, viewOf } from '../shared/view';

export interface Kept {
  readonly view: View;
  readonly slice: Slice | null;
  readonly sort: Sort;
  readonly offset: number;
  readonly all: boolean;
}

export const PAGE_ROWS = 20;

/** What is looked at decides the first question. */
export function helloOf(kept: Kept | null): HelloQuestion {
  return { type: 'hello', looking: kept && { view: kept.view, slice: kept.slice }, rows: rowsOf(kept ?? { sort: NEWEST_FIRST, offset: 0, all: false }) };
}

/** Those of the page that is shown; null for the list of all, which asks for its own. */
export function rowsOf({ sort, offset, all }: Pick<Kept, 'sort' | 'offset' | 'all'>): Rows | null {
  return all ? null : { sort, offset, limit: PAGE_ROWS };
}

/** null where nothing is remembered, or nothing that can be used. */
export function readKept(value: unknown): Kept | null {
  if (typeof value !== 'object' || value === null) return null;
  const kept: Partial<Record<keyof Kept, unknown>> = value;
  const view = viewOf(kept.view);
  if (!view) return null;
  const { offset } = kept;
  return {
    view,
    slice: sliceOf(kept.slice),
    sort: sortOf(kept.sort),
    offset: typeof offset === 'number' && Number.isInteger(offset) && offset >= 0 ? offset : 0,
    all: kept.all === true,
  };
}

function sortOf(value: unknown): Sort {
  if (typeof value !== 'object' || value === null) return NEWEST_FIRST;
  const sort: Partial<Record<keyof Sort, unknown>> = value;
  const column = SORT_COLUMNS.find((known) => known === sort.column);
  return column ? { column, descending: sort.descending === true } : NEWEST_FIRST;
}
