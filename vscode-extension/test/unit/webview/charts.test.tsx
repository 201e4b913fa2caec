// @vitest-environment happy-dom
import type { Chart } from 'chart.js';
import { describe, expect, test } from 'vitest';

import { sliceLabels, tooltipStyle } from '../../../webview/charts';
import { readPalette } from '../../../webview/palette';

const palette = readPalette({ chartTheme: 'colorblind', chartColors: [] }, document.body.style, true);

describe('the labels of a pie', () => {
  /** What is written where, on a pie of these values. */
  function written(values: number[]): [text: string, x: number, color: unknown][] {
    const texts: [string, number, unknown][] = [];
    const ctx = { fillStyle: '', save: () => undefined, restore: () => undefined, fillText: (text: string, x: number) => texts.push([text, x, ctx.fillStyle]) };
    const chart = { ctx, data: { datasets: [{ data: values }] }, getDatasetMeta: () => ({ data: values.map((_, x) => ({ tooltipPosition: () => ({ x, y: 0 }) })) }) };
    const plugin = sliceLabels(palette, (part) => `${Math.round(part * 100)} %`);
    void plugin.afterDatasetsDraw?.call(plugin, chart as unknown as Chart<'pie'>, {}, {}, false);
    return texts;
  }

  test('are percentages in a color that can be read', () => {
    expect(written([3, 1])).toEqual([['75 %', 0, '#ffffff'], ['25 %', 1, '#000000']]);
  });
  test('are left out of slices that have no room', () => {
    expect(written([95, 5]).map(([text]) => text)).toEqual(['95 %']);
  });
  test('are none where nothing is known', () => {
    expect(written([0, 0])).toEqual([]);
  });
});

test('a tooltip has the colors of the editor', () => {
  expect(tooltipStyle(palette)).toMatchObject({ backgroundColor: palette.hoverBackground, titleColor: palette.foreground, footerColor: palette.muted });
});
