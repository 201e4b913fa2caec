/** The calls of the view: pages of 20, or all as one virtual list; one stop of the Tab key with arrows inside. */

import type { KeyboardEvent, ReactNode } from 'react';
import { memo, useCallback, useId, useMemo, useState } from 'react';
import type { Row, RecordKey } from '../../shared/protocol';
import { count } from '../format';
import { PAGE_ROWS } from '../kept';
import { plural, t } from '../texts';
import { usePainted } from '../usePainted';
import { useFeed, useShown, useTelemetry } from '../useTelemetryData';
import { useWidth } from '../useWidth';
import { AllRows } from './AllRows';
import { Card } from './Card';
import { Segments } from './controls';
import { FeedHead, SortSelect } from './FeedHead';
import type { RowActions } from './FeedRow';
import { COMPACT_HEIGHT, FeedRow, ROW_HEIGHT } from './FeedRow';
import { Pager } from './Pager';
import { Problem } from './states';

/** Narrower, the nine columns do not fit. */
const COMPACT_BELOW = 800;
const LEAP = 10;

export const ActivityFeed = memo(function ActivityFeed(): ReactNode {
  const telemetry = useTelemetry();
  const all = useShown((data) => data.all);
  const page = useShown((data) => data.page);
  const offset = useShown((data) => data.offset);
  const readAt = useShown((data) => data.overview.data?.readAt ?? 0);
  const listed = useFeed(telemetry.feed);
  const [measure, width] = useWidth();
  const [grid, setGrid] = useState<HTMLElement | null>(null);
  const [chosen, setChosen] = useState(0);
  const idPrefix = useId();
  const compact = width > 0 && width < COMPACT_BELOW;
  // Of the time only the day matters: rows are not drawn anew for another second of it.
  const now = useMemo(() => new Date(readAt).setHours(0, 0, 0, 0), [readAt]);
  // When the panel opens, the charts are seen before them.
  const isBegun = usePainted(true, false);
  const rows = isBegun ? page.data?.rows : undefined;
  const total = all ? listed.total : (page.data?.total ?? null);
  const [first, last] = all ? [0, (total ?? 0) - 1] : [offset, offset + (page.data?.rows.length ?? 0) - 1];
  const active = Math.min(Math.max(chosen, first), Math.max(first, last));
  const rowAt = (index: number): Row | undefined => (all ? telemetry.feed.row(index) : rows?.[index - offset]);

  const openDetail = useCallback((key: RecordKey) => { telemetry.openDetail(key); }, [telemetry]);
  const openCode = useCallback((key: RecordKey) => { void telemetry.openCode(key); }, [telemetry]);
  const actions = useMemo((): RowActions => ({ choose: setChosen, openDetail, openCode }), [openDetail, openCode]);

  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    // The buttons of the heading have keys of their own.
    if (event.target !== event.currentTarget) return;
    if (event.key === 'Enter') {
      const row = rowAt(active);
      if (row) (event.ctrlKey || event.metaKey ? openCode : openDetail)(row.key);
      event.preventDefault();
      return;
    }
    const next = moved(event.key, active, first, last);
    if (next === null) return;
    event.preventDefault();
    setChosen(next);
  };

  const problem = all ? listed.problem : page.problem;
  const rowId = (index: number): string => `${idPrefix}-${index}`;
  return (
    <Card area="feed" title={t('Activity')} aside={(
      <Segments label={t('Rows')} value={all ? 'all' : 'pages'} onChange={(value) => { telemetry.showAll(value === 'all'); }}
        choices={[{ value: 'pages', label: t('Pages') }, { value: 'all', label: t('All') }]} />
    )}>
      {compact && <SortSelect />}
      {problem !== null && <Problem text={problem} onRetry={() => { void telemetry.renew(); }} />}
      <div ref={measure}>
        <div
          ref={setGrid} role="grid" tabIndex={0} className={`feed-grid ${all ? 'all' : ''} ${compact ? 'compact' : ''}`}
          aria-label={t('Calls')} aria-rowcount={(total ?? 0) + 1} aria-busy={page.loading}
          {...(rowAt(active) ? { 'aria-activedescendant': rowId(active) } : {})} onKeyDown={onKeyDown}
        >
          {!compact && <FeedHead />}
          {all
            ? <AllRows scroller={grid} listed={listed} active={active} compact={compact} now={now} actions={actions} rowId={rowId} />
            : (
              <div role="rowgroup" className="feed-body" aria-busy={!rows}>
                {rows?.map((row, place) => (
                  <FeedRow key={offset + place} id={rowId(offset + place)} index={offset + place} row={row} active={offset + place === active} compact={compact} now={now} actions={actions} />
                )) ?? <div className="skeleton" style={{ height: PAGE_ROWS * (compact ? COMPACT_HEIGHT : ROW_HEIGHT) }} />}
              </div>
            )}
        </div>
      </div>
      <footer className="flex flex-wrap items-center justify-between gap-2 pt-2 min-h-8">
        <p className="text-muted" aria-live="polite">{total === null ? t('loading') : shownText(total, all, offset, last)}</p>
        {!all && <Pager page={Math.floor(offset / PAGE_ROWS)} pages={Math.max(1, Math.ceil((total ?? 0) / PAGE_ROWS))} compact={compact} onTurn={(to) => { telemetry.turn(to * PAGE_ROWS); }} />}
      </footer>
    </Card>
  );
});

function shownText(total: number, all: boolean, offset: number, last: number): string {
  if (all || total <= PAGE_ROWS) return plural(total, '1 call shown', '{0} calls shown');
  return t('{0}–{1} of {2} calls shown', count(offset + 1), count(last + 1), count(total));
}

/** Where a key leads to; null where it leads nowhere. */
function moved(key: string, active: number, first: number, last: number): number | null {
  const within = (index: number): number => Math.min(Math.max(index, first), Math.max(first, last));
  switch (key) {
    case 'ArrowDown': return within(active + 1);
    case 'ArrowUp': return within(active - 1);
    case 'PageDown': return within(active + LEAP);
    case 'PageUp': return within(active - LEAP);
    case 'Home': return first;
    case 'End': return Math.max(first, last);
    default: return null;
  }
}
