// @vitest-environment happy-dom
import { cleanup, fireEvent, screen } from '@testing-library/react';
import { afterEach, describe, expect, test, vi } from 'vitest';

import type { Question, Settings } from '../../../shared/protocol';
import { all, drawn, one, open } from './page';

vi.setConfig({ testTimeout: 60_000 });
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const dialog = (): HTMLElement => document.querySelector('dialog') ?? document.body;
const click = async (element: Element): Promise<void> => {
  fireEvent.click(element);
  await drawn();
};
const saved = (asked: readonly Question[]): Partial<Settings>[] => asked.flatMap((question) => (question.type === 'saveSettings' ? [question.settings] : []));
const change = async (element: Element | null | undefined, property: 'value' | 'checked', value: unknown): Promise<void> => {
  Object.defineProperty(element, property, { value, configurable: true, writable: true });
  // As these elements do it: the event does not bubble.
  fireEvent(element as Element, new Event('change'));
  await drawn();
};

describe('the detail of a call', () => {
  const row = (text: string): Element => [...document.querySelectorAll('.feed-body [role=row]')].find((element) => element.textContent.includes(text)) ?? document.body;

  test('shows its facts and the steps of its run, and leads to code, record and other calls', async () => {
    const { asked } = await open('light');
    await click(row('support-answers'));
    expect(one('h2', 'support-answers', dialog())).toBeTruthy();
    expect(one('dd', '4bf92f3577b34da6a3ce929d0e0e4736', dialog())).toBeTruthy();
    const steps = [...dialog().querySelectorAll('.step')];
    expect(steps.map((step) => step.firstElementChild?.textContent)).toEqual(['support-answers', 'collect', 'classify', 'analyze', 'summarise', 'critique-of-the-summaryfailed', 'translate', 'report']);
    expect(steps[4]?.getAttribute('aria-current')).toBe('true');
    expect(steps[6]?.textContent).toContain('skipped');
    expect(steps[5]?.querySelector('.unplaced')).not.toBeNull();
    await click(one('vscode-button', 'Open code', dialog()));
    await click(one('vscode-button', 'Show record', dialog()));
    await click(steps[5] as Element);
    expect(asked.filter(({ type }) => type === 'openCode' || type === 'openRecord' || type === 'detail').map(({ type }) => type)).toEqual(['detail', 'openCode', 'openRecord', 'detail']);
  });

  test('closes with Escape, with its button, and with a click beside it; the focus goes back to the list', async () => {
    await open('light');
    const grid = one('[role=grid]', 'Calls');
    for (const close of [
      () => fireEvent(dialog(), new Event('cancel', { cancelable: true })),
      () => fireEvent.click(one('button', 'Close', dialog())),
      () => fireEvent.click(dialog()),
    ]) {
      grid.focus();
      fireEvent.keyDown(grid, { key: 'Enter' });
      await drawn();
      expect(document.querySelector('dialog')?.open).toBe(true);
      close();
      await drawn();
      expect(document.querySelector('dialog')).toBeNull();
      expect(document.activeElement).toBe(grid);
    }
  });

  test('of a record that is gone says so', async () => {
    const { telemetry } = await open('light');
    telemetry.openDetail({ segment: 'llm_calls.jsonl', offset: 1 });
    await drawn();
    expect(screen.getByText('this record is gone')).toBeTruthy();
    expect(one('button', 'Retry', dialog())).toBeTruthy();
  });

  test('of a call outside of any run has no steps', async () => {
    await open('light');
    await click(row('(none)'));
    expect(dialog().querySelector('.step')).toBeNull();
  });
});

describe('the settings', () => {
  async function settings(state: 'light' | 'custom' = 'light'): Promise<Question[]> {
    const { asked } = await open(state);
    await click(one('button', 'Settings'));
    return asked;
  }
  const select = (place: number): Element | undefined => dialog().querySelectorAll('vscode-single-select')[place];

  test('are saved as they are changed', async () => {
    const asked = await settings();
    await change(select(0), 'value', '60');
    await change(select(1), 'value', '90');
    await change(select(2), 'value', 'colorblind');
    await change(dialog().querySelector('vscode-textfield'), 'value', '  telemetry ');
    await change(dialog().querySelectorAll('vscode-checkbox')[0], 'checked', false);
    await change(dialog().querySelectorAll('vscode-checkbox')[1], 'checked', true);
    expect(saved(asked)).toEqual([{ refreshSeconds: 60 }, { retentionDays: 90 }, { chartTheme: 'colorblind' }, { folder: 'telemetry' }, { light: false }, { includeTests: true }]);
    expect(screen.getByText('Saved')).toBeTruthy();
    expect(document.querySelector('canvas')).not.toBeNull();
  });

  test('have colors of one\'s own: changed, added, taken away', async () => {
    const asked = await settings('custom');
    const color = one('input', 'Colour 1', dialog()) as HTMLInputElement;
    fireEvent.blur(color);
    expect(saved(asked)).toEqual([]);
    color.value = '#112233';
    fireEvent.blur(color);
    await drawn();
    await click(one('button', 'Add a color', dialog()));
    await click(one('button', 'Remove color 1', dialog()));
    expect(saved(asked).map(({ chartColors }) => chartColors)).toEqual([['#112233', '#4cc9f0'], ['#112233', '#4cc9f0', '#3794ff'], ['#4cc9f0', '#3794ff']]);
  });

  test('lead to the folder dialog and to the editor\'s own pages', async () => {
    const asked = await settings();
    await click(one('vscode-button', 'Browse…', dialog()));
    for (const name of ['All settings', 'Guide', 'Documentation', 'Report a problem']) await click(one('button', name, dialog()));
    expect(asked.filter(({ type }) => type === 'chooseFolder')).toEqual([{ type: 'chooseFolder', path: null }]);
    expect(asked.flatMap((question) => (question.type === 'openLink' ? [question.link] : []))).toEqual(['settings', 'guide', 'documentation', 'report']);
  });

  test('are opened by a command', async () => {
    const { tell } = await open('light');
    await tell({ kind: 'told', told: { type: 'show', page: 'settings', view: {} } });
    expect(all('h2', 'Settings')).toHaveLength(1);
  });
});
