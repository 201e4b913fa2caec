/** The colours of the charts: the editor's own, ones that colour-blind people can tell apart, or the user's. */

import type { Settings } from '../shared/protocol';

export interface Palette {
  readonly series: readonly string[];
  /** What can be read on that series' colour. */
  labelOn(index: number): string;
  readonly foreground: string;
  readonly muted: string;
  readonly grid: string;
  readonly background: string;
  readonly hoverBackground: string;
  readonly hoverBorder: string;
  readonly font: string;
  readonly still: boolean;
}

const EDITOR = ['blue', 'green', 'orange', 'purple', 'red', 'yellow'].map((name) => `--vscode-charts-${name}`);
/** Okabe and Ito, "Color Universal Design", without black. */
const COLORBLIND = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442'];
const FALLBACK = '#3794ff';

export function readPalette(settings: Pick<Settings, 'chartTheme' | 'chartColors'>, style: CSSStyleDeclaration, still: boolean): Palette {
  const read = (name: string, otherwise = ''): string => style.getPropertyValue(name).trim() || otherwise;
  const editor = EDITOR.map((name) => read(name, FALLBACK));
  const series = colorsOf(settings, editor);
  const foreground = read('--vscode-foreground', '#808080');
  const background = read('--panel-card') || read('--vscode-editor-background', '#1e1e1e');
  return {
    series,
    labelOn: (index) => (isBright(series[index % series.length] ?? FALLBACK) ? '#000000' : '#ffffff'),
    foreground,
    muted: read('--vscode-descriptionForeground', foreground),
    grid: withAlpha(read('--vscode-charts-foreground', foreground), 0.15),
    background,
    hoverBackground: read('--vscode-editorHoverWidget-background', background),
    hoverBorder: read('--vscode-editorHoverWidget-border', foreground),
    font: read('--vscode-font-family', 'sans-serif'),
    still,
  };
}

function colorsOf({ chartTheme, chartColors }: Pick<Settings, 'chartTheme' | 'chartColors'>, editor: readonly string[]): readonly string[] {
  switch (chartTheme) {
    case 'editor': return editor;
    case 'colorblind': return COLORBLIND;
    // Too few of one's own are followed by the editor's.
    case 'custom': return [...chartColors, ...editor.slice(chartColors.length)];
  }
}

/** By relative luminance as WCAG 2 defines it: above it black has more contrast than white. */
export function isBright(color: string): boolean {
  const [r, g, b] = channelsOf(color).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * (r ?? 0) + 0.7152 * (g ?? 0) + 0.0722 * (b ?? 0) > 0.179;
}

function channelsOf(color: string): number[] {
  const hex = /^#([0-9a-f]{6})/i.exec(color)?.[1] ?? /^#([0-9a-f]{3})$/i.exec(color)?.[1]?.replace(/./g, '$&$&');
  if (hex) return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
  return (color.match(/[\d.]+/g) ?? []).slice(0, 3).map((value) => Number(value) / 255);
}

export function withAlpha(color: string, alpha: number): string {
  const [r, g, b] = channelsOf(color).map((value) => Math.round(value * 255));
  return `rgba(${r ?? 0}, ${g ?? 0}, ${b ?? 0}, ${alpha})`;
}

/** Names keep their colour when others come or go, as far as there are colours. */
export function colorIndex(name: string, names: readonly string[]): number {
  const sorted = [...names].sort();
  return Math.max(0, sorted.indexOf(name));
}
