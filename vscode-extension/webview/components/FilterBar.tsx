/** What is looked at: the period, and which of its calls. */

import type { ReactNode } from 'react';
import { useState } from 'react';
import type { Filters, Outcome } from '../../shared/protocol';
import { NO_FILTERS, OUTCOMES } from '../../shared/protocol';
import { OUTCOME_TEXT } from '../columns';
import { named } from '../format';
import { t } from '../texts';
import { useShown, useTelemetry } from '../useTelemetryData';
import { useWidth } from '../useWidth';
import { Icon } from './controls';
import { FilterMenu } from './FilterMenu';
import { RangePicker } from './RangePicker';
import { SearchField } from './SearchField';

/** Narrower, the filters stand behind a button. */
const FOLDED_BELOW = 560;

type Listed = 'workflows' | 'providers' | 'tiers' | 'outcomes';

export function FilterBar(): ReactNode {
  const telemetry = useTelemetry();
  const { range, filters } = useShown((data) => data.view);
  const offered = useShown((data) => data.overview.data?.offered);
  const [measure, width] = useWidth();
  const [open, setOpen] = useState(false);
  const folded = width > 0 && width < FOLDED_BELOW;
  const chosen = countOf(filters);
  const name = (list: Listed, value: string): string => (list === 'outcomes' ? t(OUTCOME_TEXT[value as Outcome]) : named(value));
  const set = (list: Listed, values: readonly string[]): void => { telemetry.setFilters({ [list]: values }); };
  const menu = (list: Listed, title: string, names: readonly string[]): ReactNode => (
    <FilterMenu title={title} names={names} chosen={filters[list]} nameOf={(value) => name(list, value)}
      onChange={(values) => { set(list, values); }} onOpen={(isOpen) => { telemetry.setBusy('menu', isOpen); }} />
  );
  return (
    <div ref={measure} className="flex flex-col gap-2" role="search" aria-label={t('Filters')}>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <RangePicker range={range} onChange={(to) => { telemetry.setRange(to); }} />
        {folded && (
          <button type="button" className={`drop-button ${chosen > 0 ? 'on' : ''}`} aria-expanded={open} onClick={() => { setOpen(!open); }}>
            <Icon name="filter" />{chosen > 0 ? t('Filters ({0})', chosen) : t('Filters')}
          </button>
        )}
        {(!folded || open) && (
          <div className="flex flex-wrap items-center gap-2 grow">
            {menu('workflows', t('Workflow'), offered?.workflows ?? [])}
            {menu('providers', t('Provider'), offered?.providers ?? [])}
            {menu('tiers', t('Tier'), offered?.tiers ?? [])}
            {menu('outcomes', t('Status'), OUTCOMES)}
            <SearchField text={filters.text} onChange={(text) => { telemetry.setFilters({ text }); }} onTyping={(typing) => { telemetry.setBusy('typing', typing); }} />
          </div>
        )}
      </div>
      {chosen > 0 && (
        <div className="flex flex-wrap items-center gap-1.5" role="group" aria-label={t('Active filters')}>
          {LISTS.flatMap((list) => filters[list].map((value) => (
            <Chip key={`${list} ${value}`} text={`${t(TITLES[list])}: ${name(list, value)}`} onRemove={() => { set(list, filters[list].filter((other) => other !== value)); }} />
          )))}
          {filters.text !== '' && <Chip text={t('Text: {0}', filters.text)} onRemove={() => { telemetry.setFilters({ text: '' }); }} />}
          <button type="button" className="text-button text-sm ms-1" onClick={() => { telemetry.setFilters(NO_FILTERS); }}>{t('Clear all')}</button>
        </div>
      )}
    </div>
  );
}

const LISTS = ['workflows', 'providers', 'tiers', 'outcomes'] as const;
const TITLES = { workflows: 'Workflow', providers: 'Provider', tiers: 'Tier', outcomes: 'Status' } as const;

function Chip({ text, onRemove }: { readonly text: string; readonly onRemove: () => void }): ReactNode {
  return (
    <span className="chip">
      <span className="truncate">{text}</span>
      <button type="button" className="icon-button" title={t('Remove {0}', text)} aria-label={t('Remove {0}', text)} onClick={onRemove}><Icon name="close" /></button>
    </span>
  );
}

export function countOf(filters: Filters): number {
  return filters.workflows.length + filters.providers.length + filters.tiers.length + filters.outcomes.length + (filters.text === '' ? 0 : 1);
}
