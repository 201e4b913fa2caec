/** What the same tokens would have cost at the premium model of their provider, and what was saved. */

import type { ReactNode } from 'react';
import type { Overview } from '../../shared/protocol';
import { exactMoney, money, percent } from '../format';
import type { Palette } from '../palette';
import { plural, t } from '../texts';
import { Card } from './Card';

export function Savings({ overview, palette }: { readonly overview: Overview; readonly palette: Palette }): ReactNode {
  const { baseline, savings, savingsPercent, unknownCost } = overview.totals;
  if (savingsPercent === null) {
    return <Card area="savings" title={t('Savings')}><p className="text-muted">{t('No premium price is known to compare with.')}</p></Card>;
  }
  const actual = baseline - savings;
  const most = Math.max(baseline, actual, Number.MIN_VALUE);
  const bar = (name: string, value: number, color: string): ReactNode => (
    <div className="flex flex-col gap-1">
      <dt className="flex justify-between gap-3"><span className="text-muted">{name}</span></dt>
      <dd className="grid grid-cols-[minmax(0,1fr)_72px] items-center gap-3">
        <span className="bar" aria-hidden="true"><span style={{ width: `${(value / most) * 100}%`, backgroundColor: color }} /></span>
        <span className="text-end" title={exactMoney(value)}>{money(value)}</span>
      </dd>
    </div>
  );
  return (
    <Card area="savings" title={t('Savings')}>
      <p className="pb-2">
        <span className={`text-lg font-semibold ${savings >= 0 ? 'text-good' : 'text-bad'}`} title={exactMoney(savings)} data-figure="savings">{money(savings)}</span>{' '}
        <span className="text-muted">{savings >= 0 ? t('saved ({0}) against premium models', percent(savingsPercent)) : t('more ({0}) than with premium models', percent(-savingsPercent))}</span>
      </p>
      <dl className="flex flex-col gap-2">
        {bar(t('Premium models'), baseline, palette.muted)}
        {bar(t('Paid'), actual, palette.series[1] ?? palette.foreground)}
      </dl>
      {unknownCost > 0 && <p className="pt-3 text-sm text-muted">{plural(unknownCost, '1 call of unknown cost is not part of it.', '{0} calls of unknown cost are not part of it.')}</p>}
    </Card>
  );
}
