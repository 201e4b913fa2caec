// @vitest-environment happy-dom
import { cleanup, fireEvent, screen, within } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { Question } from '../../../shared/protocol';
import { overviewOf } from '../../harness/records';
import { ROWS } from './host';
import { all, drawn, one, open } from './page';

// Drawing the whole panel takes its time on a loaded machine.
vi.setConfig({ testTimeout: 60_000 });
beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }); });
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const of = <T extends Question['type']>(asked: readonly Question[], type: T): Extract<Question, { type: T }>[] =>
  asked.filter((question): question is Extract<Question, { type: T }> => question.type === type);
const button = (name: string | RegExp, inside?: ParentNode): HTMLElement => one('button', name, inside);
const rows = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>('.feed-body [role=row]')];
const period = (name: string): HTMLElement => button(name, one('[role=group]', 'Period'));
const pagesOrAll = (name: string): HTMLElement => button(name, one('[role=group]', 'Rows'));
const headButtons = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>('[role=columnheader] button')];
const head = (name: string): HTMLElement => one('[role=columnheader]', name);
const click = async (element: Element): Promise<void> => {
  fireEvent.click(element);
  await drawn();
};

describe('the panel', () => {
  test('shows the four figures with their change', async () => {
    const { container } = await open('light');
    const { totals } = overviewOf(ROWS, { range: { name: '7d' }, filters: { workflows: [], providers: [], tiers: [], outcomes: [], text: '' } }, null);
    expect([...container.querySelectorAll('[data-figure]')].map((element) => element.getAttribute('data-figure'))).toEqual(['cost', 'calls', 'successRate', 'averageLatency', 'savings']);
    expect(container.querySelector('[data-figure=cost]')?.textContent).toBe(`$${totals.cost.toFixed(2)}`);
    expect(container.querySelector('[data-figure=calls]')?.textContent).toBe(String(totals.calls));
    expect(screen.getByText(`${totals.unknownCost} calls of unknown cost`)).toBeTruthy();
    expect(screen.getAllByText('vs. previous 7 days')).toHaveLength(4);
  });

  test('in light mode has no charts, otherwise each with a table beside it', async () => {
    const light = await open('light');
    expect(light.container.querySelector('canvas')).toBeNull();
    light.unmount();
    await open('normal');
    expect([...document.querySelectorAll('canvas[role=img]')].map((canvas) => canvas.getAttribute('aria-label'))).toEqual([expect.stringMatching(/^Cost over time: \$\d/), 'Cost by provider']);
    expect(document.querySelectorAll('[style*=cost] table tr')).toHaveLength(8);
  });

  test('before the first answer shows placeholders, and no figures', async () => {
    const { container } = await open('loading');
    expect(container.querySelectorAll('.skeleton').length).toBeGreaterThan(10);
    expect(container.querySelector('[data-figure]')).toBeNull();
  });

  test('without any record tells how to begin', async () => {
    const { asked } = await open('empty');
    expect(screen.getByText('pip install attune-monitoring')).toBeTruthy();
    expect(screen.getByText(/from attune_monitoring import instrument\s+instrument\(\)/)).toBeTruthy();
    await click(screen.getByText('Open the documentation'));
    expect(of(asked, 'openLink')).toEqual([{ type: 'openLink', link: 'documentation' }]);
  });

  test('with records that are all filtered out says so, and not how to begin', async () => {
    const { asked } = await open('nothing');
    expect(screen.queryByText('pip install attune-monitoring')).toBeNull();
    expect(screen.getByText('No call matches these filters')).toBeTruthy();
    await click(screen.getByText('Clear the filters'));
    expect(of(asked, 'overview').at(-1)?.view.filters.text).toBe('');
    expect(rows()).toHaveLength(20);
  });

  test('where the folder cannot be read says why and tries again', async () => {
    const { asked } = await open('unreadable');
    expect(screen.getByText(/EACCES: permission denied/)).toBeTruthy();
    await click(screen.getByText('Retry'));
    expect(of(asked, 'refresh')).toHaveLength(1);
  });

  test('where the host refuses shows its words and asks again', async () => {
    const { asked } = await open('refused');
    expect(document.querySelector('[role=alert]')?.textContent).toContain('EIO: i/o error, read');
    await click(one('vscode-button', 'Retry'));
    expect(of(asked, 'overview')).toHaveLength(2);
  });

  test('shows what was not counted, and the alerts that are firing', async () => {
    await open('alerts');
    expect(screen.getByText(/3 lines could not be read · 12 duplicates of older versions were counted once · 1 record of a test run was left out/)).toBeTruthy();
    expect(document.querySelector('[role=alert]')?.textContent).toMatch(/daily-cost \(critical\) cost over 1d > 10 USD · project=shop · now 12.42 · since 42 minutes ago/);
  });

  test('says that the watcher does not run, and lets one choose the folder', async () => {
    const { asked } = await open('roots');
    expect(screen.getByText(/Alert watcher not running: last check 3 hours ago/)).toBeTruthy();
    const select = document.querySelector('vscode-single-select[label=Folder], vscode-single-select');
    Object.defineProperty(select, 'value', { value: '/home/ada/api/.empathy', configurable: true, writable: true });
    fireEvent(select as Element, new Event('change'));
    await drawn();
    expect(of(asked, 'chooseFolder')).toEqual([{ type: 'chooseFolder', path: '/home/ada/api/.empathy' }]);
  });

  test('says that new records wait while somebody is busy, and shows them on a click', async () => {
    const { telemetry, tell, asked } = await open('light');
    telemetry.setBusy('menu', true);
    await tell({ kind: 'told', told: { type: 'changed', revision: 2 } });
    expect(screen.getByText('Paused')).toBeTruthy();
    await click(button('New records'));
    expect(of(asked, 'overview')).toHaveLength(2);
    expect(screen.queryByText('Paused')).toBeNull();
  });

  test('shows how far a cold read is', async () => {
    const { tell } = await open('loading');
    await tell({ kind: 'told', told: { type: 'reading', done: 0.42 } });
    expect(document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')).toBe('42');
  });

  test.each([['Refresh', 'refresh'], ['Export as CSV', 'export'], ['Clear history', 'clear']] as const)('%s is asked of the host', async (name, type) => {
    const { asked } = await open('light');
    await click(button(name));
    expect(of(asked, type)).toHaveLength(1);
  });

  test('says how an export went until that is dismissed', async () => {
    await open('light');
    await click(button('Export as CSV'));
    expect(screen.getByText('740 calls were written to /home/ada/telemetry.csv.')).toBeTruthy();
    await click(button('Dismiss'));
    expect(screen.queryByText(/were written/)).toBeNull();
  });
});

describe('the filters', () => {
  test('a period is asked for at once', async () => {
    const { asked } = await open('light');
    await click(period('30 days'));
    expect(of(asked, 'overview').at(-1)?.view.range).toEqual({ name: '30d' });
  });

  test('own days are asked for when they make a period', async () => {
    const { asked } = await open('light');
    await click(period('Custom'));
    const before = of(asked, 'overview').length;
    fireEvent.change(screen.getByLabelText('From'), { target: { value: '2026-11-20' } });
    fireEvent.change(screen.getByLabelText('To'), { target: { value: '2026-11-10' } });
    fireEvent.blur(screen.getByLabelText('To'));
    expect(screen.getByText('The first day is after the last.')).toBeTruthy();
    fireEvent.change(screen.getByLabelText('To'), { target: { value: '2026-11-22' } });
    expect(of(asked, 'overview')).toHaveLength(before);
    fireEvent.keyDown(screen.getByLabelText('To'), { key: 'Enter' });
    await drawn();
    expect(of(asked, 'overview').at(-1)?.view.range).toEqual({ name: 'custom', from: '2026-11-20', to: '2026-11-22' });
  });

  test('names are chosen in a menu that the keyboard walks, which counts as busy', async () => {
    const { asked } = await open('light');
    await click(one('[aria-haspopup=menu]', 'Provider'));
    const items = [...document.querySelectorAll<HTMLElement>('[role=menuitemcheckbox]')];
    expect(document.activeElement).toBe(items[0]);
    fireEvent.keyDown(items[0] as Element, { key: 'ArrowUp' });
    expect(document.activeElement).toBe(items.at(-1));
    fireEvent.keyDown(document.activeElement as Element, { key: 'Home' });
    expect(document.activeElement).toBe(items[0]);
    await click(items[0] as Element);
    expect(of(asked, 'overview').at(-1)?.view.filters.providers).toEqual(['anthropic']);
    expect(of(asked, 'busy')).toEqual([{ type: 'busy', busy: true }]);
    fireEvent.keyDown(document.activeElement as Element, { key: 'Escape' });
    expect(document.querySelector('[role=menu]')).toBeNull();
    expect(document.activeElement).toBe(button('Provider (1)'));
    expect(of(asked, 'busy').at(-1)).toEqual({ type: 'busy', busy: false });
  });

  test('text is asked for once, when one stops typing', async () => {
    const { asked } = await open('light');
    const field = document.querySelector('vscode-textfield') as HTMLElement & { value: string };
    for (const text of ['g', 'gp', 'gpt']) {
      field.value = text;
      fireEvent.input(field);
      vi.advanceTimersByTime(200);
    }
    expect(of(asked, 'overview')).toHaveLength(1);
    vi.advanceTimersByTime(60);
    await drawn();
    expect(of(asked, 'overview').slice(1).map(({ view }) => view.filters.text)).toEqual(['gpt']);
    expect(of(asked, 'busy').map(({ busy }) => busy)).toEqual([true, false]);
  });

  test('are shown as chips that take each away, or all', async () => {
    const { asked } = await open('filtered');
    await click(button('Remove Provider: anthropic'));
    expect(of(asked, 'overview').at(-1)?.view.filters).toMatchObject({ providers: [], outcomes: ['ok'], text: 'claude' });
    await click(button('Clear all'));
    expect(of(asked, 'overview').at(-1)?.view.filters).toEqual({ workflows: [], providers: [], tiers: [], outcomes: [], text: '' });
    expect(all('[role=group]', 'Active filters')).toEqual([]);
  });

  test('stand behind a button where there is little room', async () => {
    await open('filtered', 300);
    expect(all('button', /^Workflow/)).toEqual([]);
    await click(button('Filters (3)'));
    expect(button(/^Workflow/)).toBeTruthy();
  });

  test.each([['Show only openai', 'providers', 'openai'], ['Show only code-review', 'workflows', 'code-review']] as const)('"%s" filters, a second click takes it back', async (title, list, name) => {
    const { asked } = await open('normal');
    await click(screen.getByTitle(title));
    expect(of(asked, 'overview').at(-1)?.view.filters[list]).toEqual([name]);
    await click(screen.getByTitle(title));
    expect(of(asked, 'overview').at(-1)?.view.filters[list]).toEqual([]);
  });

  test('a tier is filtered by its bar, and the unit of time chosen at the chart', async () => {
    const { asked } = await open('normal');
    await click(button(/^cheap/));
    expect(of(asked, 'overview').at(-1)?.view.filters.tiers).toEqual(['cheap']);
    await click(button('Week'));
    expect(of(asked, 'overview').at(-1)?.slice).toBe('week');
  });
});

describe('the activity feed', () => {
  test('has pages of twenty', async () => {
    const { asked } = await open('light');
    expect(rows()).toHaveLength(20);
    expect(screen.getByText(/^1–20 of 352 calls shown$/)).toBeTruthy();
    expect((button('Previous') as HTMLButtonElement).disabled).toBe(true);
    await click(button('Next'));
    await click(button('Page 18'));
    expect(of(asked, 'page').map(({ offset }) => offset)).toEqual([20, 340]);
    expect(button('Page 18').getAttribute('aria-current')).toBe('page');
    expect((button('Next') as HTMLButtonElement).disabled).toBe(true);
    expect(rows()).toHaveLength(12);
  });

  test('is sorted by a click on a heading, the other way by the next', async () => {
    const { asked } = await open('light');
    const header = head('Cost');
    await click(button('Cost', header));
    expect(header.getAttribute('aria-sort')).toBe('descending');
    await click(button('Cost', header));
    expect(header.getAttribute('aria-sort')).toBe('ascending');
    await click(button('Model', head('Model')));
    expect(of(asked, 'page').map(({ sort }) => sort)).toEqual([
      { column: 'cost', descending: true }, { column: 'cost', descending: false }, { column: 'model', descending: false },
    ]);
  });

  test('has headings that are one stop of the Tab key', async () => {
    await open('light');
    const headings = headButtons();
    headings[0]?.focus();
    fireEvent.keyDown(headings[0] as Element, { key: 'ArrowLeft' });
    expect(document.activeElement).toBe(headings.at(-1));
    expect(headings.filter((heading) => heading.tabIndex === 0)).toEqual([headings.at(-1)]);
  });

  test('is walked with the arrows; Enter opens a call, Ctrl+Enter its code', async () => {
    const { asked } = await open('light');
    const grid = one('[role=grid]', 'Calls');
    const active = (): number => rows().findIndex((row) => row.id === grid.getAttribute('aria-activedescendant'));
    const walked = ['ArrowDown', 'ArrowDown', 'ArrowUp', 'PageDown', 'End', 'ArrowDown', 'PageUp', 'Home', 'ArrowUp', 'x'].map((key) => {
      fireEvent.keyDown(grid, { key });
      return active();
    });
    expect(walked).toEqual([1, 2, 1, 11, 19, 19, 9, 0, 0, 0]);
    fireEvent.keyDown(grid, { key: 'ArrowDown' });
    fireEvent.keyDown(grid, { key: 'Enter', ctrlKey: true });
    fireEvent.keyDown(grid, { key: 'Enter' });
    await drawn();
    const { key } = ROWS[1] ?? {};
    expect([of(asked, 'openCode')[0]?.key, of(asked, 'detail')[0]?.key]).toEqual([key, key]);
  });

  test('opens a call on a click, and its code on a click on the workflow', async () => {
    const { asked } = await open('light');
    await click(within(rows()[2] as HTMLElement).getByTitle(/^Open the code of/));
    expect([of(asked, 'openCode').length, of(asked, 'detail').length]).toEqual([1, 0]);
    expect(screen.getByText(/No code was found for this call/)).toBeTruthy();
    await click(rows()[2] as Element);
    expect(of(asked, 'detail')).toHaveLength(1);
  });

  test('says unknown where a cost is, never 0', async () => {
    await open('light');
    const unknown = rows().filter((row) => row.textContent?.includes('qwen3'));
    expect(unknown.length).toBeGreaterThan(0);
    for (const row of unknown) expect(row.querySelector('[title="The cost of this call is not known"]')?.textContent).toBe('unknown');
  });

  test('has two lines a call and a list of orders where there is little room', async () => {
    const { asked } = await open('light', 300);
    expect(document.querySelector('[role=columnheader]')).toBeNull();
    expect(rows()[0]?.className).toContain('two');
    await click(button('Descending: sort ascending'));
    expect(of(asked, 'page').at(-1)?.sort).toEqual({ column: 'time', descending: false });
  });

  test('shows all as one list, asking for what one scrolls to', async () => {
    const { asked } = await open('large');
    await click(pagesOrAll('All'));
    expect(of(asked, 'page').at(-1)).toMatchObject({ offset: 0, limit: 200 });
    expect(screen.getByText('100,000 calls shown')).toBeTruthy();
    expect(rows().length).toBeLessThan(120);
    expect(rows()[0]?.textContent).toContain('15:41');
    expect(all('nav', 'Pages')).toEqual([]);
  });

  test('holds still while one scrolls, and for as long as one is not at its beginning', async () => {
    const { asked, tell } = await open('large');
    await click(pagesOrAll('All'));
    const grid = one('[role=grid]', 'Calls');
    grid.scrollTop = 500;
    fireEvent.scroll(grid);
    expect(of(asked, 'busy')).toEqual([{ type: 'busy', busy: true }]);
    vi.advanceTimersByTime(900);
    await drawn();
    expect(of(asked, 'busy').at(-1)).toEqual({ type: 'busy', busy: false });
    await tell({ kind: 'told', told: { type: 'changed', revision: 2 } });
    expect([of(asked, 'overview').length, all('button', 'New records').length]).toEqual([1, 1]);
    grid.scrollTop = 0;
    fireEvent.scroll(grid);
    vi.advanceTimersByTime(900);
    await drawn();
    expect([of(asked, 'overview').length, all('button', 'New records').length]).toEqual([2, 0]);
  });
});
