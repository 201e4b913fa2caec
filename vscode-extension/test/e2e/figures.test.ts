/** Every figure of the panel is the one that `empathy telemetry summary` gives for the same folder. */

import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Figures } from '../../shared/protocol';
import { changeOf } from '../../webview/change';
import { count, day, duration, hour, money, named, percent, tokens } from '../../webview/format';
import { Editor } from './editor';
import { Panel } from './panel';
import { hasCommandLine, Project, type Summary, type Totals } from './project';

const installed = inject('installed');
const reason = 'missing' in installed ? installed.missing : hasCommandLine ? '' : 'no .venv with the command line';
const DAY = 86_400_000;

describe.skipIf(reason !== '')(`figures ${reason}`, () => {
  const project = new Project();
  let editor: Editor;
  let panel: Panel;

  beforeAll(async () => {
    if ('missing' in installed) return;
    project.invent(4000, 75);
    project.append('llm_calls.jsonl', 'no record', '{"call_id": "half', '[1, 2]');
    editor = await Editor.open(installed, project.folder, { height: 1600 });
    panel = await Panel.open(editor);
  });

  afterAll(async () => {
    await editor?.close();
    project.remove();
  });

  const days = (ago: number): string => new Date(Date.now() - ago * DAY).toISOString().slice(0, 10);
  const periods = [
    ['Today', ['--since', 'today']],
    ['7 days', ['--since', days(6)]],
    ['30 days', ['--since', days(29)]],
    ['All', ['--since', 'all']],
  ] as const;

  describe.each(periods)('%s', (range, words) => {
    let summary: Summary;

    beforeAll(async () => {
      summary = project.summary(...words);
      await panel.range(range);
    });

    test('the cards', async () => {
      const { totals } = summary;
      await panel.shows('calls', count(totals.calls));
      await panel.shows('cost', money(totals.cost));
      same(await panel.figure('cost').getAttribute('title'), totals.cost);
      await panel.shows('successRate', percent(totals.success_rate));
      await panel.shows('averageLatency', duration(totals.latency_ms.average));
    });

    test('what changed since the period before', async () => {
      const cards = await panel.frame.getByRole('region', { name: 'Key figures' }).getByRole('article').allTextContents();
      const [now, before] = [figuresOf(summary.totals), beforeOf(summary)];
      (['cost', 'calls', 'successRate', 'averageLatency'] as const).forEach((figure, place) => {
        const change = changeOf(figure, now, before);
        expect(cards[place]).toContain(change ? change.text : 'nothing to compare with');
      });
      expect(cards[0]).toContain(now.unknownCost === 1 ? '1 call of unknown cost' : now.unknownCost > 0 ? `${count(now.unknownCost)} calls of unknown cost` : 'all costs known');
    });

    test('savings', async () => {
      const card = panel.card('Savings');
      if (summary.totals.savings_percent === null) return;
      same(await card.locator('[data-figure=savings]').getAttribute('title'), summary.totals.savings);
      expect(await card.textContent()).toContain(percent(Math.abs(summary.totals.savings_percent)));
    });

    test('cost by provider', async () => {
      const { groups } = project.summary(...words, '--by', 'provider');
      const sum = groups.reduce((total, group) => total + (group.cost ?? 0), 0);
      const table = await panel.table('Cost by provider');
      expect(table.map(([name]) => name).sort()).toEqual(groups.map(({ name }) => shown(name)).sort());
      for (const [name, cost, share] of table) {
        const group = groups.find((one) => shown(one.name) === name);
        same(cost, group?.cost);
        expect(share).toBe(group?.cost === null ? '–' : percent(((group?.cost ?? NaN) / sum) * 100));
      }
    });

    test('tokens by tier', async () => {
      const { groups } = project.summary(...words, '--by', 'tier');
      const lines = await panel.card('Tokens by tier').getByRole('button').allTextContents();
      expect(lines).toHaveLength(groups.length);
      for (const group of groups) {
        const line = lines.find((text) => text.startsWith(shown(group.name)));
        expect(line).toContain(money(group.cost));
        expect(line).toContain(`${count(group.calls)} call`);
        expect(line).toContain(`${tokens(group.input_tokens)} / ${tokens(group.output_tokens)}`);
      }
    });

    test('top workflows', async () => {
      const { groups } = project.summary(...words, '--by', 'workflow');
      const five = [...groups].sort((one, other) => (other.cost ?? 0) - (one.cost ?? 0)).slice(0, 5);
      const lines = await panel.card('Top workflows').getByRole('listitem').allTextContents();
      expect(lines).toHaveLength(five.length);
      five.forEach(({ name, cost }, place) => {
        expect(lines[place]).toContain(shown(name));
        expect(lines[place]).toContain(money(cost));
      });
    });
  });

  test.each([['7 days', '--since', days(6)], ['30 days', '--since', days(29)]] as const)('cost over time, %s', async (range, ...words) => {
    await panel.range(range);
    sameParts(await panel.table(/^Cost over time/), project.summary(...words), day);
  });

  test('cost over today, by the hour', async () => {
    await panel.range('Today');
    sameParts(await panel.table(/^Cost over time/), project.summary('--since', 'today'), hour);
  });

  test('a custom period ends with its last day', async () => {
    await panel.range('Custom');
    await panel.frame.getByLabel('From', { exact: true }).fill(days(20));
    const last = panel.frame.getByLabel('To', { exact: true });
    await last.fill(days(10));
    await last.press('Enter');
    const { totals } = project.summary('--since', days(20), '--until', days(9));
    await panel.shows('calls', count(totals.calls));
    await panel.shows('cost', money(totals.cost));
  });

  test('lines that are no records are counted and shown', async () => {
    await panel.range('All');
    await expect.poll(() => panel.frame.getByText(/3 lines/).count()).toBeGreaterThan(0);
  });

  test('no policy of the page was offended', () => {
    expect(editor.violations).toEqual([]);
  });
});

/** An amount with eight digits; sums of floating-point numbers differ beyond, by the order of adding. null is unknown. */
function same(text: string | null | undefined, amount: number | null | undefined): void {
  if (amount === null) {
    expect(text).toBe('unknown');
    return;
  }
  expect(text).toMatch(/^-?\$[\d,]+\.\d{2,8}$/);
  expect(Math.abs(Number(text?.replace(/[$,]/g, '')) - (amount ?? NaN))).toBeLessThan(1.01e-8);
}

function sameParts(table: readonly (readonly string[])[], { over_time }: Summary, name: (time: number) => string): void {
  expect(table.map(([part, , calls]) => [part, calls])).toEqual(over_time.map(({ since, calls }) => [name(Date.parse(since)), String(calls)]));
  table.forEach(([, cost], place) => { same(cost, over_time[place]?.cost); });
}

/** The command line says what is missing: (no workflow). */
function shown(name: string): string {
  return named(/^\(no \w+\)$/.test(name) ? '' : name);
}

function figuresOf(totals: Totals): Figures {
  const { ok, error, cancelled } = totals.outcomes;
  return {
    calls: totals.calls, ok, error, cancelled, cost: totals.cost ?? 0, unknownCost: totals.unknown_cost_calls, baseline: totals.baseline_cost,
    savings: totals.savings, savingsPercent: totals.savings_percent, input: totals.input_tokens, output: totals.output_tokens,
    cacheRead: totals.cache_read_tokens, cacheWrite: totals.cache_write_tokens, reasoning: totals.reasoning_tokens, retries: totals.retries,
    fallbacks: totals.fallbacks, truncated: totals.truncated, successRate: totals.success_rate, averageLatency: totals.latency_ms.average,
  };
}

function beforeOf({ before }: Summary): Figures | null {
  if (before === null) return null;
  const totals = 'totals' in before ? before.totals : (before as Totals);
  return totals && totals.calls > 0 ? figuresOf(totals) : null;
}
