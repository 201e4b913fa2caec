/** The parts of Chart.js that are used, and what all charts have in common. */

import type { ChartOptions, Plugin } from 'chart.js';
import { ArcElement, CategoryScale, Chart, Filler, LinearScale, LineController, LineElement, PieController, PointElement, Tooltip } from 'chart.js';
import type { Palette } from './palette';

Chart.register(ArcElement, CategoryScale, Filler, LinearScale, LineController, LineElement, PieController, PointElement, Tooltip);

/** Slices that are smaller have no room for a label. */
const LEAST_LABELLED = 0.06;

/** Writes the percentages into the slices of a pie. */
export function sliceLabels(palette: Palette, format: (part: number) => string): Plugin<'pie'> {
  return {
    id: 'sliceLabels',
    afterDatasetsDraw(chart) {
      const values = chart.data.datasets[0]?.data ?? [];
      const sum = values.reduce((total, value) => total + value, 0);
      const { ctx } = chart;
      ctx.save();
      ctx.font = `600 12px ${palette.font}`;
      ctx.textAlign = 'center';
      ctx.textBaseline = 'middle';
      chart.getDatasetMeta(0).data.forEach((slice, index) => {
        const part = sum > 0 ? (values[index] ?? 0) / sum : 0;
        if (part < LEAST_LABELLED) return;
        const { x, y } = slice.tooltipPosition(true);
        ctx.fillStyle = palette.labelOn(index);
        if (x !== null && y !== null) ctx.fillText(format(part), x, y);
      });
      ctx.restore();
    },
  };
}

/** At first a chart stands still: it is there sooner, and nothing was there that it could come from. */
export function animationOf(palette: Palette, isFirst: boolean): false | { readonly duration: number } {
  return palette.still || isFirst ? false : { duration: 200 };
}

/** The tooltip in the colours of the editor's hovers. */
export function tooltipStyle(palette: Palette): NonNullable<NonNullable<ChartOptions['plugins']>['tooltip']> {
  const font = { family: palette.font, size: 12 };
  return {
    backgroundColor: palette.hoverBackground, borderColor: palette.hoverBorder, borderWidth: 1, cornerRadius: 3, padding: 8, caretSize: 0, boxPadding: 4,
    titleColor: palette.foreground, bodyColor: palette.foreground, footerColor: palette.muted,
    titleFont: { ...font, weight: 'bold' }, bodyFont: font, footerFont: { ...font, weight: 'normal' },
  };
}
