// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { AlertsState, Overview } from '../../../shared/protocol';
import { NO_FILTERS } from '../../../shared/protocol';
import { Alerts } from '../../../webview/components/Alerts';
import { breakdown, partName } from '../../../webview/components/CostChart';
import { ErrorBoundary } from '../../../webview/components/ErrorBoundary';
import { NotesLine } from '../../../webview/components/NotesLine';
import { numbersAround, Pager } from '../../../webview/components/Pager';
import { OverviewStats } from '../../../webview/components/OverviewStats';
import { Savings } from '../../../webview/components/Savings';
import { Sparkline } from '../../../webview/components/Sparkline';
import { Waterfall } from '../../../webview/components/Waterfall';
import { readPalette } from '../../../webview/palette';
import { NOW, overviewOf } from '../../harness/records';
import { ROWS } from './host';
import { one } from './page';

vi.setConfig({ testTimeout: 60_000 });
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const OVERVIEW = overviewOf(ROWS, { range: { name: '7d' }, filters: NO_FILTERS }, null);
const withTotals = (totals: Partial<Overview['totals']>): Overview => ({ ...OVERVIEW, totals: { ...OVERVIEW.totals, ...totals } });
const palette = readPalette({ chartTheme: 'colorblind', chartColors: [] }, document.body.style, true);

describe('the cards', () => {
  test('never show 0 for costs of which none is known', () => {
    const { container } = render(<OverviewStats overview={withTotals({ calls: 4, cost: 0, unknownCost: 4 })} range="7d" />);
    expect(container.querySelector('[data-figure=cost]')?.textContent).toBe('unknown');
  });

  test('say which way a change goes in words too, and color what is bad', () => {
    const { container } = render(<OverviewStats overview={{ ...withTotals({ cost: 30 }), before: { ...OVERVIEW.totals, cost: 20 } }} range="today" />);
    const change = container.querySelector('.text-bad');
    expect(change?.textContent).toBe('up 50%');
    expect(change?.querySelector('.codicon-arrow-up')).not.toBeNull();
  });

  test('have nothing to compare with in all time', () => {
    render(<OverviewStats overview={{ ...OVERVIEW, before: null }} range="all" />);
    expect(screen.getAllByText('nothing to compare with')).toHaveLength(4);
  });
});

describe('a sparkline', () => {
  const pathOf = (values: (number | null)[]): string => render(<Sparkline values={values} />).container.querySelector('path')?.getAttribute('d') ?? '';
  test.each([
    ['rises to the right', [0, 1], 'M2.0 25.0L94.0 3.0'], ['of equal values is in the middle', [5, 5], 'M2.0 14.0L94.0 14.0'],
    ['is broken where nothing is known', [0, null, 1], 'M2.0 25.0M94.0 3.0'], ['of one value is no line', [3], ''], ['of nothing is no line', [null, null], ''],
  ])('%s', (_name, values, path) => { expect(pathOf(values)).toBe(path); });
});

describe('the pager', () => {
  test.each([
    [0, 3, [0, 1, 2]], [0, 8, [0, 1, 2, 3, 4, 5, 6, 7]], [0, 18, [0, 1, 2, 3, 4, 5, null, 17]], [9, 18, [0, null, 7, 8, 9, 10, 11, null, 17]], [17, 18, [0, null, 12, 13, 14, 15, 16, 17]],
  ])('on page %s of %s shows %j', (page, pages, numbers) => { expect(numbersAround(page, pages, 2)).toEqual(numbers); });

  test('goes one back and one forth, and stops at the ends', () => {
    const turned: number[] = [];
    const { rerender } = render(<Pager page={1} pages={3} compact={false} onTurn={(page) => turned.push(page)} />);
    fireEvent.click(one('button', 'Previous'));
    fireEvent.click(one('button', 'Next'));
    rerender(<Pager page={2} pages={3} compact={false} onTurn={(page) => turned.push(page)} />);
    fireEvent.click(one('button', 'Next'));
    expect(turned).toEqual([0, 2]);
  });
});

describe('alerts', () => {
  const running: AlertsState = { state: 'running', evaluatedAt: NOW, rules: 1, firing: [], pending: 2, faults: ['a source is away'] };
  const textOf = (alerts: AlertsState): string => render(<Alerts alerts={alerts} now={NOW} />).container.textContent;

  test('are not spoken of where none were ever set up', () => { expect(textOf({ state: 'none' })).toBe(''); });
  test('that cannot be read say why', () => { expect(textOf({ state: 'unreadable', problem: 'no JSON' })).toBe('The state of the alerts cannot be read: no JSON'); });
  test('of which none fires say that somebody watches', () => { expect(textOf(running)).toBe('a source is awayNo alerts firing · 2 pending · 1 rule · checked now'); });
  test('of a watcher that stopped do not count as firing', () => {
    const firing = [{ rule: 'r', severity: '', condition: 'c', value: null, labels: {}, since: null, silenced: false }];
    expect(textOf({ ...running, state: 'stale', evaluatedAt: NOW - 60_000, firing })).toBe('Alert watcher not running: last check 1 minute ago. Start it with "empathy alerts watch".');
  });
  test('that are silenced are counted and not shown', () => {
    const firing = [{ rule: 'quiet-one', severity: 'critical', condition: 'c', value: 1, labels: {}, since: NOW, silenced: true }];
    const text = textOf({ ...running, faults: [], pending: 0, firing });
    expect(text).toBe('No alerts firing · 1 silenced · 1 rule · checked now');
  });
  test('show nothing of a record as HTML', () => {
    const { container } = render(<Alerts now={NOW} alerts={{ ...running, firing: [{ rule: '<img src=x>', severity: '', condition: '<b>', value: 1, labels: {}, since: null, silenced: false }] }} />);
    expect(container.querySelector('img, b')).toBeNull();
    expect(container.textContent).toContain('<img src=x> <b>');
  });
});

describe('savings', () => {
  const textOf = (totals: Partial<Overview['totals']>): string => render(<Savings overview={withTotals(totals)} palette={palette} />).container.textContent;
  test('are those against the baseline', () => {
    expect(textOf({ baseline: 10, savings: 4, savingsPercent: 40, unknownCost: 1 })).toBe('Savings$4.00 saved (40%) against premium modelsPremium models$10.00Paid$6.001 call of unknown cost is not part of it.');
  });
  test('may be none', () => { expect(textOf({ baseline: 10, savings: -2, savingsPercent: -20, unknownCost: 0 })).toContain('-$2.00 more (20%) than with premium models'); });
  test('without a baseline are not known', () => { expect(textOf({ savingsPercent: null })).toContain('No premium price is known to compare with.'); });
});

describe('the cost chart', () => {
  const part = OVERVIEW.parts[0];
  test('breaks a part down by tier, and says what is not known', () => {
    expect(part && breakdown({ ...part, byTier: [['cheap', 0.5], ['', 0.25]], figures: { ...part.figures, calls: 3, unknownCost: 1 } })).toEqual([
      'Tier cheap: $0.5000', 'Tier (none): $0.2500', '3 calls', '1 call of unknown cost',
    ]);
    expect(breakdown(undefined)).toEqual([]);
  });
  test('names its parts by their begin', () => {
    expect((['hour', 'day', 'week'] as const).map((slice) => part && partName(part, slice))).toEqual(['00:00', 'Nov 17', 'Week of Nov 17']);
  });
});

describe('the waterfall', () => {
  const step = { kind: 'call', name: 'c', depth: 0, begin: 50, end: 100, placed: true, cost: null, outcome: 'cancelled', tier: 'cheap', model: 'm', key: null, here: false } as const;
  test('places a step in the time of its run, also one that began before it', () => {
    const { container } = render(<Waterfall steps={[step, { ...step, begin: -100, end: 0 }]} begin={0} duration={100} onOpen={() => undefined} />);
    const bars = [...container.querySelectorAll<HTMLElement>('.track span')].map(({ style }) => style.width);
    expect(bars).toEqual(['25%', '50%']);
    expect(container.querySelector('.step')?.getAttribute('title')).toBe('c · m · cheap · cancelled');
  });
  test('of very many steps shows the first, and says how many more there are', () => {
    const { container } = render(<Waterfall steps={Array.from({ length: 450 }, () => step)} begin={0} duration={100} onOpen={() => undefined} />);
    expect(container.querySelectorAll('.step')).toHaveLength(400);
    expect(container.lastElementChild?.textContent).toBe('50 more steps are not shown');
  });
});

test('the notes say only what there is to say', () => {
  const { container, rerender } = render(<NotesLine notes={{ skippedLines: 0, duplicates: 0, tests: 4 }} includeTests />);
  expect(container.textContent).toBe('');
  rerender(<NotesLine notes={{ skippedLines: 1, duplicates: 1, tests: 4 }} includeTests={false} />);
  expect(container.textContent).toBe('1 line could not be read · 1 duplicate of an older version was counted once · 4 records of test runs were left out');
});

describe('a part that throws', () => {
  beforeEach(() => { vi.spyOn(console, 'error').mockImplementation(() => undefined); });

  test('is replaced by what happened, and drawn again on a click', () => {
    let broken = true;
    const errors: string[] = [];
    const Part = (): ReactNode => {
      if (broken) throw new Error('no such color');
      return <p>drawn</p>;
    };
    render(<ErrorBoundary onError={(error) => errors.push(error.message)}><Part /></ErrorBoundary>);
    expect(screen.getByText('This part could not be shown: no such color')).toBeTruthy();
    broken = false;
    fireEvent.click(one('button', 'Retry'));
    expect(screen.getByText('drawn')).toBeTruthy();
    expect(errors).toContain('no such color');
  });
});
