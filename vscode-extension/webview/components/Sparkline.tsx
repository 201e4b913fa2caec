/** A figure's course in a few pixels; decoration beside the number, so it says nothing to a screen reader. */

import type { ReactNode } from 'react';

const WIDTH = 96;
const HEIGHT = 28;

/** Gaps (null) break the line. */
export function Sparkline({ values }: { readonly values: readonly (number | null)[] }): ReactNode {
  const known = values.filter((value): value is number => value !== null);
  if (known.length < 2) return <svg className="shrink-0" width={WIDTH} height={HEIGHT} aria-hidden="true" />;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const x = (index: number): number => 2 + (index / (values.length - 1)) * (WIDTH - 4);
  const y = (value: number): number => (most === least ? HEIGHT / 2 : HEIGHT - 3 - ((value - least) / (most - least)) * (HEIGHT - 6));
  const path = values.map((value, index) => {
    if (value === null) return '';
    const begins = index === 0 || values[index - 1] === null;
    return `${begins ? 'M' : 'L'}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
  }).join('');
  const last = values.reduce<number>((found, value, index) => (value === null ? found : index), 0);
  return (
    <svg className="shrink-0" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path d={path} fill="none" stroke="var(--vscode-charts-blue)" strokeWidth="1.5" strokeLinejoin="round" strokeLinecap="round" />
      <circle cx={x(last)} cy={y(values[last] ?? 0)} r="2" fill="var(--vscode-charts-blue)" />
    </svg>
  );
}
