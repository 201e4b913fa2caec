/** Cost by provider; a slice, or its line in the legend, filters the panel by it. */

import '../charts';
import type { ChartData, ChartOptions } from 'chart.js';
import type { ReactNode } from 'react';
import { useCallback, useMemo, useState } from 'react';
import { Pie } from 'react-chartjs-2';
import type { Overview } from '../../shared/protocol';
import { animationOf, sliceLabels, tooltipStyle } from '../charts';
import { exactMoney, knownCost, money, named, percent } from '../format';
import type { Palette } from '../palette';
import { colorIndex } from '../palette';
import { t } from '../texts';
import { useShown, useTelemetry } from '../useTelemetryData';
import { Card } from './Card';
import { DataTable } from './DataTable';

interface Share {
  readonly name: string;
  /** null where none is known. */
  readonly cost: number | null;
  readonly part: number;
  readonly index: number;
}

export function ProviderPie({ overview, palette }: { readonly overview: Overview; readonly palette: Palette }): ReactNode {
  const telemetry = useTelemetry();
  const chosen = useShown((data) => data.view.filters.providers);
  const { providers, offered } = overview;
  const shares = useMemo(() => {
    const sum = providers.reduce((total, group) => total + group.cost, 0);
    return providers.map((group): Share => ({ name: group.name, cost: knownCost(group), part: sum > 0 ? group.cost / sum : 0, index: colorIndex(group.name, offered.providers) }));
  }, [providers, offered]);
  const chart = useMemo(() => dataOf(shares, palette), [shares, palette]);
  const plugins = useMemo(() => [sliceLabels({ ...palette, labelOn: (index) => palette.labelOn(shares[index]?.index ?? 0) }, (part) => percent(Math.round(part * 100)))], [palette, shares]);
  const toggle = useCallback((name: string): void => {
    const { providers: now } = telemetry.snapshot().view.filters;
    telemetry.setFilters({ providers: now.length === 1 && now[0] === name ? [] : [name] });
  }, [telemetry]);
  const [first] = useState(shares);
  // Other options draw the chart anew, so these are only made when they are others.
  const options = useMemo(() => optionsOf(shares, palette, toggle, shares === first), [shares, palette, toggle, first]);
  const label = t('Cost by provider');
  return (
    <Card area="pie" title={label}>
      {shares.some((share) => share.part > 0)
        ? <div className="relative h-[150px]"><Pie data={chart} options={options} plugins={plugins} role="img" aria-label={label} /></div>
        : <p className="flex h-[150px] items-center justify-center text-muted">{t('No known costs')}</p>}
      <ul className="pt-2">
        {shares.map((share) => (
          <li key={share.name}>
            <button type="button" className={`line-row grid-cols-[10px_minmax(0,1fr)_auto_44px] ${chosen.includes(share.name) ? 'chosen' : ''}`}
              aria-pressed={chosen.includes(share.name)} title={t('Show only {0}', named(share.name))} onClick={() => { toggle(share.name); }}>
              <span className="swatch" style={{ backgroundColor: palette.series[share.index % palette.series.length] ?? '' }} />
              <span className="truncate">{named(share.name)}</span>
              <span>{money(share.cost)}</span>
              <span className="text-end text-muted">{share.cost === null ? '–' : percent(share.part * 100)}</span>
            </button>
          </li>
        ))}
      </ul>
      <DataTable caption={label} head={[t('Provider'), t('Cost'), t('Share')]} rows={shares.map(({ name, cost, part }) => [named(name), exactMoney(cost), cost === null ? '–' : percent(part * 100)])} />
    </Card>
  );
}

function optionsOf(shares: readonly Share[], palette: Palette, toggle: (name: string) => void, isFirst: boolean): ChartOptions<'pie'> {
  return {
    responsive: true, maintainAspectRatio: false, animation: animationOf(palette, isFirst),
    onClick: (_event, [hit]) => { const share = hit && shares[hit.index]; if (share) toggle(share.name); },
    onHover: (event, hits) => { if (event.native?.target instanceof HTMLElement) event.native.target.style.cursor = hits.length > 0 ? 'pointer' : ''; },
    plugins: { tooltip: { ...tooltipStyle(palette), callbacks: { label: (item) => ` ${money(item.parsed)} · ${percent((shares[item.dataIndex]?.part ?? 0) * 100)}` } } },
  };
}

function dataOf(shares: readonly Share[], palette: Palette): ChartData<'pie', number[], string> {
  return {
    labels: shares.map((share) => named(share.name)),
    datasets: [{
      data: shares.map((share) => share.cost ?? 0),
      backgroundColor: shares.map((share) => palette.series[share.index % palette.series.length] ?? palette.foreground),
      // A whole pie has no seam.
      borderColor: palette.background, borderWidth: shares.filter((share) => share.part > 0).length > 1 ? 2 : 0, hoverOffset: 4,
    }],
  };
}
