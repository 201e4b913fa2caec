/** The four figures at the top, each with what changed since the period before and its course. */

import type { ReactNode } from 'react';
import { memo } from 'react';
import type { Figures, Overview, RangeName } from '../../shared/protocol';
import type { Change, Figure } from '../change';
import { beforeName, changeOf } from '../change';
import { count, duration, exactMoney, knownCost, money, percent, tokens } from '../format';
import { plural, t } from '../texts';
import { Icon } from './controls';
import { Sparkline } from './Sparkline';

export const OverviewStats = memo(function OverviewStats({ overview, range }: { readonly overview: Overview; readonly range: RangeName }): ReactNode {
  const { totals } = overview;
  return (
    <section className="grid-cards" aria-label={t('Key figures')}>
      <Stat figure="cost" title={t('Total Cost')} value={money(knownCost(totals))} hint={exactMoney(knownCost(totals))}
        note={unknownNote(totals)} overview={overview} range={range} />
      <Stat figure="calls" title={t('Call Count')} value={count(totals.calls)} hint={t('{0} tokens', count(totals.input + totals.output))}
        note={t('{0} tokens', tokens(totals.input + totals.output))} overview={overview} range={range} />
      <Stat figure="successRate" title={t('Success Rate')} value={percent(totals.successRate)} hint={t('Successful calls of those that were not cancelled')}
        note={failedNote(totals)} overview={overview} range={range} />
      <Stat figure="averageLatency" title={t('Avg Latency')} value={duration(totals.averageLatency)} hint={t('Of successful calls')}
        note={retriedNote(totals)} overview={overview} range={range} />
    </section>
  );
});

interface StatProps {
  readonly figure: Figure;
  readonly title: string;
  readonly value: string;
  readonly hint: string;
  readonly note: string;
  readonly overview: Overview;
  readonly range: RangeName;
}

function Stat({ figure, title, value, hint, note, overview, range }: StatProps): ReactNode {
  const change = changeOf(figure, overview.totals, overview.before);
  return (
    <article className="card flex flex-col gap-1">
      <h2 className="font-normal text-muted">{title}</h2>
      <div className="flex items-end justify-between gap-2">
        <p className="text-figure leading-7 font-semibold truncate" title={hint} data-figure={figure}>{value}</p>
        <Sparkline values={overview.parts.map((part) => part.figures[figure])} />
      </div>
      <p className="text-sm truncate min-h-[17px]">
        {change ? <Difference change={change} before={beforeName(range)} /> : <span className="text-muted">{t('nothing to compare with')}</span>}
      </p>
      <p className="text-sm text-muted truncate min-h-[17px]" title={note}>{note}</p>
    </article>
  );
}

const ARROWS = { up: 'arrow-up', down: 'arrow-down', same: 'dash' } as const;
const TONES = { good: 'text-good', bad: 'text-bad', neutral: 'text-fg' } as const;

function Difference({ change, before }: { readonly change: Change; readonly before: string }): ReactNode {
  const direction = change.direction === 'up' ? t('up') : change.direction === 'down' ? t('down') : '';
  return (
    <>
      <span className={`inline-flex items-center align-bottom gap-0.5 ${TONES[change.tone]}`}>
        <Icon name={ARROWS[change.direction]} className="text-sm!" />
        <span className="sr-only">{direction} </span>
        {change.text}
      </span>{' '}
      <span className="text-muted">{before}</span>
    </>
  );
}

function unknownNote(totals: Figures): string {
  return totals.unknownCost > 0 ? plural(totals.unknownCost, '1 call of unknown cost', '{0} calls of unknown cost') : t('all costs known');
}

function failedNote(totals: Figures): string {
  const failed = plural(totals.error, '1 failed', '{0} failed');
  return totals.cancelled > 0 ? `${failed} · ${plural(totals.cancelled, '1 cancelled', '{0} cancelled')}` : failed;
}

function retriedNote(totals: Figures): string {
  return `${plural(totals.retries, '1 retry', '{0} retries')} · ${plural(totals.fallbacks, '1 fallback', '{0} fallbacks')}`;
}
