/** Cost over time: a line for all of it, and one for each provider where there are several. */

import '../charts';
import type { ChartData, ChartOptions } from 'chart.js';
import type { ReactNode } from 'react';
import { useMemo, useState } from 'react';
import { Line } from 'react-chartjs-2';
import type { Overview, Part, Slice } from '../../shared/protocol';
import { animationOf, tooltipStyle } from '../charts';
import { axisMoney, day, exactMoney, hour, knownCost, money, named } from '../format';
import type { Palette } from '../palette';
import { colorIndex, withAlpha } from '../palette';
import { plural, t } from '../texts';
import { useShown, useTelemetry } from '../useTelemetryData';
import { Card } from './Card';
import { Segments } from './controls';
import { DataTable } from './DataTable';

/** More lines than that cannot be told apart. */
const MOST_LINES = 5;

export function CostChart({ overview, palette }: { readonly overview: Overview; readonly palette: Palette }): ReactNode {
  const telemetry = useTelemetry();
  const range = useShown((data) => data.view.range.name);
  const { parts, slice, providers } = overview;
  const names = useMemo(() => (providers.length > 1 ? providers.slice(0, MOST_LINES).map((group) => group.name) : []), [providers]);
  const offered = overview.offered.providers;
  const colored = names.map((name) => ({ name, color: lineColor(palette, name, offered) }));
  const chart = useMemo(() => dataOf(parts, slice, names.map((name) => ({ name, color: lineColor(palette, name, offered) })), palette), [parts, slice, names, palette, offered]);
  const [first] = useState(parts);
  const options = useMemo(() => optionsOf(parts, slice, names, palette, parts === first), [parts, slice, names, palette, first]);
  const slices: readonly Slice[] = range === 'today' ? ['hour', 'day'] : ['day', 'week'];
  const label = t('Cost over time: {0} in all', exactMoney(knownCost(overview.totals)));
  return (
    <Card area="cost" title={t('Cost over time')} aside={(
      <Segments label={t('Unit of time')} value={slice} onChange={(to) => { telemetry.setSlice(to); }}
        choices={slices.map((value) => ({ value, label: t(SLICE_TEXT[value]) }))} />
    )}>
      <ul className="flex flex-wrap gap-x-4 gap-y-1 pb-2 text-sm" aria-label={t('Legend')}>
        {[{ name: t('Total'), color: palette.foreground }, ...colored.map(({ name, color }) => ({ name: named(name), color }))].map(({ name, color }) => (
          <li key={name} className="inline-flex items-center gap-1.5"><span className="swatch" style={{ backgroundColor: color }} />{name}</li>
        ))}
      </ul>
      <div className="relative grow min-h-[200px]">
        <Line className="absolute! inset-0" data={chart} options={options} role="img" aria-label={label} />
      </div>
      <DataTable caption={label} head={[t('Time'), t('Cost'), t('Calls')]} rows={parts.map((part) => [partName(part, slice), exactMoney(knownCost(part.figures)), String(part.figures.calls)])} />
    </Card>
  );
}

const SLICE_TEXT = { hour: 'Hour', day: 'Day', week: 'Week' } as const;

function lineColor(palette: Palette, name: string, names: readonly string[]): string {
  return palette.series[colorIndex(name, names) % palette.series.length] ?? palette.foreground;
}

export function partName(part: Part, slice: Slice): string {
  switch (slice) {
    case 'hour': return hour(part.since);
    case 'day': return day(part.since);
    case 'week': return t('Week of {0}', day(part.since));
  }
}

function dataOf(parts: readonly Part[], slice: Slice, lines: readonly { name: string; color: string }[], palette: Palette): ChartData<'line', number[], string> {
  const single = parts.length === 1;
  const line = { borderWidth: 1.5, pointRadius: single ? 3 : 0, pointHoverRadius: 4, pointHitRadius: 12, cubicInterpolationMode: 'monotone' as const };
  return {
    labels: parts.map((part) => (slice === 'week' ? day(part.since) : partName(part, slice))),
    datasets: [
      {
        ...line, label: t('Total'), data: parts.map((part) => part.figures.cost), borderColor: palette.foreground, pointBackgroundColor: palette.foreground,
        fill: 'origin', backgroundColor: withAlpha(palette.foreground, 0.06),
      },
      ...lines.map(({ name, color }) => ({
        ...line, label: named(name), data: parts.map((part) => costOf(part.byProvider, name)), borderColor: color, backgroundColor: color, pointBackgroundColor: color, fill: false,
      })),
    ],
  };
}

function costOf(groups: readonly (readonly [name: string, cost: number])[], name: string): number {
  return groups.find(([group]) => group === name)?.[1] ?? 0;
}

function optionsOf(parts: readonly Part[], slice: Slice, names: readonly string[], palette: Palette, isFirst: boolean): ChartOptions<'line'> {
  const ticks = { color: palette.muted, font: { family: palette.font, size: 11 } };
  return {
    responsive: true, maintainAspectRatio: false, animation: animationOf(palette, isFirst),
    interaction: { mode: 'index', intersect: false },
    scales: {
      x: { ticks: { ...ticks, maxRotation: 0, autoSkipPadding: 16 }, grid: { display: false }, border: { color: palette.grid } },
      y: { beginAtZero: true, ticks: { ...ticks, maxTicksLimit: 5, callback: (value) => axisMoney(Number(value)) }, grid: { color: palette.grid }, border: { display: false } },
    },
    plugins: {
      tooltip: {
        ...tooltipStyle(palette),
        // A provider without known costs is not one that cost nothing.
        filter: (item) => item.datasetIndex === 0 || occurs(parts[item.dataIndex], names[item.datasetIndex - 1]),
        callbacks: {
          title: ([item]) => { const part = parts[item?.dataIndex ?? -1]; return part ? partName(part, slice) : ''; },
          label: (item) => `${item.dataset.label ?? ''}: ${money(item.parsed.y)}`,
          labelColor: (item) => ({ borderColor: 'transparent', backgroundColor: String(item.dataset.borderColor) }),
          afterBody: ([item]) => breakdown(parts[item?.dataIndex ?? -1]),
        },
      },
    },
  };
}

function occurs(part: Part | undefined, name: string | undefined): boolean {
  return part?.byProvider.some(([provider]) => provider === name) ?? false;
}

/** The lines of the tooltip under the providers: the tiers, how many calls, and what is not known. */
export function breakdown(part: Part | undefined): string[] {
  if (!part) return [];
  const { figures } = part;
  return [
    ...part.byTier.map(([name, cost]) => t('Tier {0}: {1}', named(name), money(cost))),
    plural(figures.calls, '1 call', '{0} calls'),
    ...(figures.unknownCost > 0 ? [plural(figures.unknownCost, '1 call of unknown cost', '{0} calls of unknown cost')] : []),
  ];
}
