/** The period: one of the usual ones, or from one day to another. */

import type { ReactNode } from 'react';
import { useState } from 'react';
import type { Range, RangeName } from '../../shared/protocol';
import { isoDay } from '../format';
import { t } from '../texts';
import { Segments } from './controls';

const DAY_MS = 86_400_000;

export function RangePicker({ range, onChange }: { readonly range: Range; readonly onChange: (range: Range) => void }): ReactNode {
  const choose = (name: RangeName): void => {
    if (name !== 'custom') onChange({ name });
    else if (range.name !== 'custom') onChange({ name, from: isoDay(Date.now() - 6 * DAY_MS), to: isoDay(Date.now()) });
  };
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Segments label={t('Period')} value={range.name} onChange={choose} choices={[
        { value: 'today', label: t('Today') }, { value: '7d', label: t('7 days') }, { value: '30d', label: t('30 days') },
        { value: 'all', label: t('All') }, { value: 'custom', label: t('Custom') },
      ]} />
      {range.name === 'custom' && <CustomDays from={range.from ?? ''} to={range.to ?? ''} onChange={onChange} />}
    </div>
  );
}

/** The days are taken together when they make a period, so half an entry asks for nothing. */
function CustomDays({ from, to, onChange }: { readonly from: string; readonly to: string; readonly onChange: (range: Range) => void }): ReactNode {
  const [days, setDays] = useState({ from, to });
  const [asked, setAsked] = useState({ from, to });
  // Somebody else asked for other days. Fields made anew for it would lose the focus of who goes on to the second.
  if (asked.from !== from || asked.to !== to) {
    setAsked({ from, to });
    setDays({ from, to });
  }
  const backwards = days.from !== '' && days.to !== '' && days.from > days.to;
  const take = (): void => {
    if (days.from === '' || days.to === '' || backwards || (days.from === from && days.to === to)) return;
    setAsked(days);
    onChange({ name: 'custom', ...days });
  };
  const field = (which: 'from' | 'to', label: string): ReactNode => (
    <input type="date" className="date" aria-label={label} aria-invalid={backwards} value={days[which]}
      onChange={(event) => { setDays({ ...days, [which]: event.target.value }); }}
      onBlur={take} onKeyDown={(event) => { if (event.key === 'Enter') take(); }} />
  );
  return (
    <div className="flex flex-wrap items-center gap-1.5">
      {field('from', t('From'))}
      <span className="text-muted">–</span>
      {field('to', t('To'))}
      {backwards && <span className="text-bad text-sm" role="alert">{t('The first day is after the last.')}</span>}
    </div>
  );
}
