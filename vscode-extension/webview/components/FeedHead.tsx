/** How the feed is sorted: the heading of the columns, one stop of the Tab key, and a list where there are no columns. */

import type { KeyboardEvent, ReactNode } from 'react';
import { memo, useRef, useState } from 'react';
import type { SortColumn } from '../../shared/protocol';
import { COLUMNS, firstDescending } from '../columns';
import { t } from '../texts';
import { useShown, useTelemetry } from '../useTelemetryData';
import { Icon, IconButton, Select } from './controls';

export const FeedHead = memo(function FeedHead(): ReactNode {
  const telemetry = useTelemetry();
  const sort = useShown((data) => data.sort);
  const [stop, setStop] = useState(0);
  const row = useRef<HTMLDivElement>(null);

  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const next = (stop + step + COLUMNS.length) % COLUMNS.length;
    setStop(next);
    row.current?.querySelectorAll('button')[next]?.focus();
  };
  const sortBy = (column: SortColumn): void => {
    telemetry.setSort({ column, descending: column === sort.column ? !sort.descending : firstDescending(column) });
  };
  return (
    <div role="rowgroup" className="sticky top-0 z-1">
      <div ref={row} role="row" aria-rowindex={1} className="feed-row feed-head" onKeyDown={onKeyDown}>
        {COLUMNS.map(({ column, title, number }, index) => {
          const sorted = column === sort.column;
          return (
            <span key={column} role="columnheader" className={number ? 'number' : ''} aria-sort={sorted ? (sort.descending ? 'descending' : 'ascending') : 'none'}>
              <button type="button" tabIndex={index === stop ? 0 : -1} title={t('Sort by {0}', t(title))} onFocus={() => { setStop(index); }} onClick={() => { sortBy(column); }}>
                <span className="truncate">{t(title)}</span>
                {sorted && <Icon name={sort.descending ? 'arrow-down' : 'arrow-up'} />}
              </button>
            </span>
          );
        })}
      </div>
    </div>
  );
});

export function SortSelect(): ReactNode {
  const telemetry = useTelemetry();
  const sort = useShown((data) => data.sort);
  return (
    <div className="flex items-center gap-1 pb-2">
      <Select label={t('Sort by')} value={sort.column} className="grow"
        choices={COLUMNS.map(({ column, title }) => ({ value: column, label: t(title) }))}
        onChange={(column) => { telemetry.setSort({ column, descending: firstDescending(column) }); }} />
      <IconButton icon={sort.descending ? 'arrow-down' : 'arrow-up'} label={sort.descending ? t('Descending: sort ascending') : t('Ascending: sort descending')}
        onClick={() => { telemetry.setSort({ ...sort, descending: !sort.descending }); }} />
    </div>
  );
}
