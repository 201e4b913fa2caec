/** One call in the activity feed: a line of nine cells, or two lines where there is little room. */

import type { CSSProperties, MouseEvent, ReactNode } from 'react';
import { memo } from 'react';
import type { RecordKey, Row } from '../../shared/protocol';
import { OUTCOME_ICON, OUTCOME_TEXT, OUTCOME_TONE } from '../columns';
import { count, duration, exactMoney, fullTime, minuteTime, money, named, shortTime, tokens } from '../format';
import { t } from '../texts';
import { Icon } from './controls';

export const ROW_HEIGHT = 26;
export const COMPACT_HEIGHT = 46;

export interface RowActions {
  readonly choose: (index: number) => void;
  readonly openDetail: (key: RecordKey) => void;
  readonly openCode: (key: RecordKey) => void;
}

interface FeedRowProps {
  readonly id: string;
  readonly index: number;
  /** undefined while it is under way. */
  readonly row: Row | undefined;
  readonly active: boolean;
  readonly compact: boolean;
  readonly now: number;
  readonly actions: RowActions;
  readonly style?: CSSProperties;
}

export const FeedRow = memo(function FeedRow({ id, index, row, active, compact, now, actions, style }: FeedRowProps): ReactNode {
  const shared = {
    id, role: 'row', style, 'aria-rowindex': index + 2, 'aria-selected': active,
    className: `feed-row ${compact ? 'two' : ''} ${active ? 'active' : ''}`,
  };
  if (!row) return <div {...shared} aria-busy="true"><span role="gridcell"><span className="skeleton block h-3 w-full" /><span className="sr-only">{t('loading')}</span></span></div>;
  const open = (): void => {
    actions.choose(index);
    actions.openDetail(row.key);
  };
  const Cells = compact ? TwoLines : OneLine;
  return <div {...shared} onClick={open}><Cells row={row} now={now} openCode={actions.openCode} /></div>;
});

interface CellsProps {
  readonly row: Row;
  readonly now: number;
  readonly openCode: RowActions['openCode'];
}

function OneLine({ row, now, openCode }: CellsProps): ReactNode {
  return (
    <>
      <span role="gridcell" className="text-muted" title={fullTime(row.time)}>{shortTime(row.time, now)}</span>
      <Workflow row={row} openCode={openCode} />
      <span role="gridcell" title={row.provider}>{named(row.provider)}</span>
      <span role="gridcell" title={row.model}>{named(row.model)}</span>
      <span role="gridcell">{named(row.tier)}</span>
      <Cost row={row} />
      <span role="gridcell" className="number" title={tokensTitle(row)}>{tokens(row.input)} / {tokens(row.output)}</span>
      <Status row={row} />
      <span role="gridcell" className="number">{duration(row.latency)}</span>
    </>
  );
}

function TwoLines({ row, now, openCode }: CellsProps): ReactNode {
  return (
    <>
      <span role="presentation" className="flex items-center justify-between gap-3">
        <span role="gridcell" className="flex min-w-0 items-center gap-1.5">
          <Status row={row} iconOnly />
          <Workflow row={row} openCode={openCode} inline />
        </span>
        <Cost row={row} />
      </span>
      <span role="presentation" className="flex items-center justify-between gap-3 text-sm text-muted">
        <span role="gridcell" className="truncate" title={`${named(row.provider)} · ${named(row.model)} · ${named(row.tier)}`}>
          {named(row.model)} · {named(row.tier)}
        </span>
        <span role="gridcell" className="shrink-0" title={`${fullTime(row.time)} · ${tokensTitle(row)}`}>
          {duration(row.latency)} · {minuteTime(row.time, now)}
        </span>
      </span>
    </>
  );
}

function Workflow({ row, openCode, inline = false }: { readonly row: Row; readonly openCode: RowActions['openCode']; readonly inline?: boolean }): ReactNode {
  const open = (event: MouseEvent): void => {
    event.stopPropagation();
    openCode(row.key);
  };
  const name = row.stage ? `${named(row.workflow)} › ${row.stage}` : named(row.workflow);
  return (
    <span {...(inline ? {} : { role: 'gridcell' })} className="flex items-center gap-1 min-w-0">
      {/* Reached with Ctrl+Enter from the list, which is one stop of the Tab key. */}
      <button type="button" tabIndex={-1} className="truncate hover:underline" title={t('Open the code of {0}', name)} onClick={open}>{named(row.workflow)}</button>
      <button type="button" tabIndex={-1} className="code-button" aria-hidden="true" onClick={open}><Icon name="go-to-file" className="text-sm! text-muted" /></button>
    </span>
  );
}

function Cost({ row }: { readonly row: Row }): ReactNode {
  return (
    <span role="gridcell" className={`number ${row.cost === null ? 'text-muted' : ''}`}
      title={row.cost === null ? t('The cost of this call is not known') : exactMoney(row.cost)}>
      {money(row.cost)}
    </span>
  );
}

function Status({ row, iconOnly = false }: { readonly row: Row; readonly iconOnly?: boolean }): ReactNode {
  const text = t(OUTCOME_TEXT[row.outcome]);
  return (
    <span {...(iconOnly ? {} : { role: 'gridcell' })} className={`status ${OUTCOME_TONE[row.outcome]}`} title={row.error || text}>
      <Icon name={OUTCOME_ICON[row.outcome]} className="text-sm!" />
      <span className={iconOnly ? 'sr-only' : 'truncate'}>{text}</span>
    </span>
  );
}

function tokensTitle(row: Row): string {
  return t('{0} tokens in, {1} out', count(row.input), count(row.output));
}
