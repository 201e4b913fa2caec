/** How a figure differs from that of the period before, and whether that is good. */

import type { Figures, RangeName } from '../shared/protocol';
import { count, money, percent } from './format';
import { t } from './texts';

export interface Change {
  readonly direction: 'up' | 'down' | 'same';
  readonly tone: 'good' | 'bad' | 'neutral';
  readonly text: string;
}

export type Figure = 'cost' | 'calls' | 'successRate' | 'averageLatency';

/** null where there is nothing to compare with. */
export function changeOf(figure: Figure, now: Figures, before: Figures | null): Change | null {
  const [value, old] = [now[figure], before?.[figure] ?? null];
  if (!before || value === null || old === null) return null;
  const difference = value - old;
  if (figure === 'successRate') {
    const points = Math.round(difference * 10) / 10;
    return changeTo(points, points === 1 || points === -1 ? t('1 point') : t('{0} points', numberOf(points)), points > 0 ? 'good' : 'bad');
  }
  if (old === 0) {
    if (difference === 0) return changeTo(0, '', 'neutral');
    return changeTo(difference, figure === 'cost' ? money(difference) : count(difference), figure === 'calls' ? 'neutral' : difference > 0 ? 'bad' : 'good');
  }
  const part = (difference / old) * 100;
  // Below half a percent it reads as no change.
  const rounded = Math.abs(part) < 0.5 ? 0 : part;
  const text = Math.abs(part) >= 1000 ? t('{0} times', numberOf(Math.round(value / old))) : percent(Math.round(Math.abs(part)));
  return changeTo(rounded, text, figure === 'calls' ? 'neutral' : difference > 0 ? 'bad' : 'good');
}

function changeTo(difference: number, text: string, tone: Change['tone']): Change {
  if (difference === 0) return { direction: 'same', tone: 'neutral', text: t('no change') };
  return { direction: difference > 0 ? 'up' : 'down', tone, text };
}

function numberOf(value: number): string {
  return Math.abs(value) < 10 ? String(Math.abs(value)) : count(Math.abs(value));
}

/** What `before` is, in the words of the chosen range. */
export function beforeName(range: RangeName): string {
  switch (range) {
    case 'today': return t('vs. yesterday');
    case '7d': return t('vs. previous 7 days');
    case '30d': return t('vs. previous 30 days');
    case 'custom':
    case 'all': return t('vs. period before');
  }
}
