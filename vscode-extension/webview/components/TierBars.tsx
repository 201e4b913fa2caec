/** Tokens by tier, input and output stacked, with what they cost and how many calls they were. */

import type { ReactNode } from 'react';
import type { Group, Overview } from '../../shared/protocol';
import { count, exactMoney, knownCost, money, named, tokens } from '../format';
import type { Palette } from '../palette';
import { plural, t } from '../texts';
import { useShown, useTelemetry } from '../useTelemetryData';
import { Card } from './Card';

export function TierBars({ overview, palette }: { readonly overview: Overview; readonly palette: Palette }): ReactNode {
  const telemetry = useTelemetry();
  const chosen = useShown((data) => data.view.filters.tiers);
  const most = Math.max(1, ...overview.tiers.map((tier) => tier.input + tier.output));
  const [inputColor, outputColor] = [palette.series[0] ?? palette.foreground, palette.series[1] ?? palette.muted];
  return (
    <Card area="tiers" title={t('Tokens by tier')}>
      <ul className="flex gap-4 pb-2 text-sm" aria-label={t('Legend')}>
        <li className="inline-flex items-center gap-1.5"><span className="swatch" style={{ backgroundColor: inputColor }} />{t('Input')}</li>
        <li className="inline-flex items-center gap-1.5"><span className="swatch" style={{ backgroundColor: outputColor }} />{t('Output')}</li>
      </ul>
      <ul className="flex flex-col gap-1">
        {overview.tiers.map((tier) => (
          <li key={tier.name}>
            <button type="button" className={`line-row gap-y-1 py-1 ${chosen.includes(tier.name) ? 'chosen' : ''}`} aria-pressed={chosen.includes(tier.name)}
              title={titleOf(tier)} onClick={() => { telemetry.setFilters({ tiers: chosen.length === 1 && chosen[0] === tier.name ? [] : [tier.name] }); }}>
              <span className="flex items-baseline justify-between gap-3">
                <span className="truncate">{named(tier.name)}</span>
                <span className="shrink-0"><span title={exactMoney(knownCost(tier))}>{money(knownCost(tier))}</span> <span className="text-muted">· {plural(tier.calls, '1 call', '{0} calls')}</span></span>
              </span>
              <span className="grid grid-cols-[minmax(0,1fr)_96px] items-center gap-3">
                <span className="bar" aria-hidden="true">
                  <span style={{ width: `${(tier.input / most) * 100}%`, backgroundColor: inputColor }} />
                  <span style={{ width: `${(tier.output / most) * 100}%`, backgroundColor: outputColor }} />
                </span>
                <span className="text-end text-sm text-muted">{tokens(tier.input)} / {tokens(tier.output)}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function titleOf(tier: Group): string {
  return t('{0} tokens in, {1} out', count(tier.input), count(tier.output));
}
