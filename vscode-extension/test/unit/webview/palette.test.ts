// @vitest-environment happy-dom
import { describe, expect, test } from 'vitest';

import { colorIndex, isBright, readPalette, withAlpha } from '../../../webview/palette';

function style(variables: Record<string, string>): CSSStyleDeclaration {
  const element = document.createElement('div');
  for (const [name, value] of Object.entries(variables)) element.style.setProperty(name, value);
  return element.style;
}

describe('the palette', () => {
  const editor = style({ '--vscode-charts-blue': '#3794ff', '--vscode-charts-green': '#89d185', '--vscode-foreground': '#cccccc', '--panel-card': '#202020' });

  test('takes the colors of the editor, and one of its own where a theme lacks them', () => {
    const palette = readPalette({ chartTheme: 'editor', chartColors: [] }, editor, false);
    expect(palette.series.slice(0, 3)).toEqual(['#3794ff', '#89d185', '#3794ff']);
    expect([palette.foreground, palette.muted, palette.background, palette.still]).toEqual(['#cccccc', '#cccccc', '#202020', false]);
  });

  test("begins with the user's colors and goes on with the editor's", () => {
    const palette = readPalette({ chartTheme: 'custom', chartColors: ['#010203'] }, editor, true);
    expect([palette.series[0], palette.series[1], palette.still]).toEqual(['#010203', '#89d185', true]);
  });

  test('for color-blind people does not depend on the theme', () => {
    const settings = { chartTheme: 'colorblind', chartColors: [] } as const;
    expect(readPalette(settings, editor, false).series).toEqual(readPalette(settings, style({}), false).series);
  });

  test('writes on a bright color in black and on a dark one in white', () => {
    const palette = readPalette({ chartTheme: 'custom', chartColors: ['#ffee00', '#220066'] }, editor, false);
    expect([palette.labelOn(0), palette.labelOn(1)]).toEqual(['#000000', '#ffffff']);
  });
});

test.each([['#fff', true], ['#000000', false], ['rgb(250, 250, 10)', true], ['rgba(10, 10, 80, 0.5)', false], ['nonsense', false]])('%s is bright: %s', (color, bright) => {
  expect(isBright(color)).toBe(bright);
});

test('a color can be made transparent', () => {
  expect([withAlpha('#336699', 0.5), withAlpha('rgb(1, 2, 3)', 0.1)]).toEqual(['rgba(51, 102, 153, 0.5)', 'rgba(1, 2, 3, 0.1)']);
});

test('a name has the same place in any order of the names', () => {
  expect(colorIndex('openai', ['openai', 'anthropic'])).toBe(colorIndex('openai', ['anthropic', 'openai']));
});
