/** Made-up calls and their figures, for looking at the panel without an editor and for its tests. */

import type { Figures, Filters, Group, Outcome, Overview, Page, Part, Range, Row, Rows, Settings, Slice, Sort, Source, View } from '../../shared/protocol';

export const NOW = new Date(2026, 10, 23, 15, 42, 7).getTime();
const DAY = 86_400_000;

export const SETTINGS: Settings = {
  refreshSeconds: 30, retentionDays: 0, chartTheme: 'editor', chartColors: [], folder: '', light: false, includeTests: false,
};

export const SOURCE: Source = { path: '/home/ada/shop/.empathy', label: 'shop', state: 'ready', problem: null, choices: [{ path: '/home/ada/shop/.empathy', label: 'shop' }] };

const MODELS = [
  ['anthropic', 'claude-haiku-4-5', 'cheap', 1, 5], ['anthropic', 'claude-sonnet-4-5', 'capable', 3, 15], ['anthropic', 'claude-opus-4-5', 'premium', 5, 25],
  ['openai', 'gpt-5-mini', 'cheap', 0.25, 2], ['openai', 'gpt-5.2', 'premium', 1.75, 14], ['gcp.gemini', 'gemini-2.5-flash', 'cheap', 0.3, 2.5],
  ['ollama', 'qwen3:8b-instruct-q4_K_M', 'unknown', null, null],
] as const;
const WORKFLOWS = ['code-review', 'nightly-triage-of-incoming-issues', 'release-notes', 'support-answers', 'embed-docs', 'translate', ''];

/** Numbers from 0 to 1 that are the same every time (Lehmer's generator). */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

export function makeRows(count: number, days = 14): Row[] {
  const next = numbers(42);
  return Array.from({ length: count }, (_, index): Row => {
    const [provider, model, tier, inPrice, outPrice] = MODELS[Math.floor(next() ** 1.5 * MODELS.length)] ?? MODELS[0];
    const input = Math.round(200 + next() ** 4 * 60_000);
    const output = Math.round(20 + next() ** 3 * 3_000);
    const luck = next();
    const outcome: Outcome = luck < 0.04 ? 'error' : luck < 0.05 ? 'cancelled' : 'ok';
    const workflow = WORKFLOWS[Math.floor(next() ** 1.8 * WORKFLOWS.length)] ?? '';
    return {
      key: { segment: 'llm_calls.jsonl', offset: index * 640 }, time: NOW - (index / count) * days * DAY - next() * 60_000,
      workflow, stage: workflow === 'code-review' ? 'analyze' : '', provider, model, tier,
      cost: inPrice === null ? null : (input * inPrice + output * outPrice) / 1e6, input, output,
      outcome, error: outcome === 'error' ? 'RateLimitError: 429 Too Many Requests' : '', latency: Math.round(180 + next() ** 3 * 14_000),
    };
  });
}

export function figuresOf(rows: readonly Row[]): Figures {
  const sum = (value: (row: Row) => number): number => rows.reduce((total, row) => total + value(row), 0);
  const known = rows.filter((row) => row.cost !== null);
  const ok = rows.filter((row) => row.outcome === 'ok');
  const error = rows.filter((row) => row.outcome === 'error').length;
  const cost = sum((row) => row.cost ?? 0);
  const baseline = known.reduce((total, row) => total + (row.input * 5 + row.output * 25) / 1e6, 0);
  return {
    calls: rows.length, ok: ok.length, error, cancelled: rows.length - ok.length - error, cost, unknownCost: rows.length - known.length,
    baseline, savings: baseline - cost, savingsPercent: baseline > 0 ? ((baseline - cost) / baseline) * 100 : null,
    input: sum((row) => row.input), output: sum((row) => row.output), cacheRead: 0, cacheWrite: 0, reasoning: 0, retries: Math.round(rows.length / 40), fallbacks: Math.round(rows.length / 90), truncated: 0,
    successRate: ok.length + error > 0 ? (ok.length / (ok.length + error)) * 100 : null,
    averageLatency: ok.length > 0 ? ok.reduce((total, row) => total + row.latency, 0) / ok.length : null,
  };
}

export function groupsOf(rows: readonly Row[], nameOf: (row: Row) => string): Group[] {
  return [...new Set(rows.map(nameOf))]
    .map((name) => ({ name, ...figuresOf(rows.filter((row) => nameOf(row) === name)) }))
    .sort((a, b) => b.cost - a.cost);
}

export function periodOf(range: Range): { since: number; until: number } {
  const midnight = new Date(NOW).setHours(0, 0, 0, 0);
  switch (range.name) {
    case 'today': return { since: midnight, until: midnight + DAY };
    case '7d': return { since: midnight - 6 * DAY, until: midnight + DAY };
    case '30d': return { since: midnight - 29 * DAY, until: midnight + DAY };
    case 'all': return { since: midnight - 20 * DAY, until: midnight + DAY };
    case 'custom': return { since: new Date(`${range.from}T00:00`).getTime(), until: new Date(`${range.to}T00:00`).getTime() + DAY };
  }
}

function passes(row: Row, { workflows, providers, tiers, outcomes, text }: Filters): boolean {
  const allows = (names: readonly string[], name: string): boolean => names.length === 0 || names.includes(name);
  return allows(workflows, row.workflow) && allows(providers, row.provider) && allows(tiers, row.tier) && allows(outcomes, row.outcome)
    && `${row.workflow} ${row.provider} ${row.model} ${row.tier} ${row.error}`.toLowerCase().includes(text.toLowerCase());
}

export function viewed(rows: readonly Row[], { range, filters }: View): Row[] {
  const { since, until } = periodOf(range);
  return rows.filter((row) => row.time >= since && row.time < until && passes(row, filters));
}

export function sorted(rows: readonly Row[], { column, descending }: Sort): Row[] {
  const value = (row: Row): number | string => {
    switch (column) {
      case 'tokens': return row.input + row.output;
      case 'status': return row.outcome;
      case 'cost': return row.cost ?? -1;
      default: return row[column];
    }
  };
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => (value(a) < value(b) ? -sign : value(a) > value(b) ? sign : 0));
}

const LENGTH: Readonly<Record<Slice, number>> = { hour: 3_600_000, day: DAY, week: 7 * DAY };

function partsOf(rows: readonly Row[], since: number, until: number, slice: Slice): Part[] {
  const step = LENGTH[slice];
  return Array.from({ length: Math.ceil((until - since) / step) }, (_, index) => {
    const from = since + index * step;
    const inside = rows.filter((row) => row.time >= from && row.time < from + step);
    const costs = (nameOf: (row: Row) => string): [string, number][] => groupsOf(inside.filter((row) => row.cost !== null), nameOf).map(({ name, cost }) => [name, cost]);
    return { since: from, until: from + step, figures: figuresOf(inside), byProvider: costs((row) => row.provider), byTier: costs((row) => row.tier) };
  });
}

export function overviewOf(all: readonly Row[], view: View, slice: Slice | null, revision = 1): Overview {
  const period = periodOf(view.range);
  const rows = viewed(all, view);
  const length = period.until - period.since;
  const earlier = all.filter((row) => row.time >= period.since - length && row.time < period.since && passes(row, view.filters));
  const inPeriod = viewed(all, { range: view.range, filters: { workflows: [], providers: [], tiers: [], outcomes: [], text: '' } });
  const names = (nameOf: (row: Row) => string): string[] => [...new Set(inPeriod.map(nameOf))].sort();
  const chosen = slice ?? (view.range.name === 'today' ? 'hour' : 'day');
  return {
    revision, source: SOURCE, records: all.length, period, totals: figuresOf(rows), before: view.range.name === 'all' || earlier.length === 0 ? null : figuresOf(earlier),
    slice: chosen, parts: partsOf(rows, period.since, period.until, chosen),
    providers: groupsOf(rows, (row) => row.provider), tiers: groupsOf(rows, (row) => row.tier),
    workflows: groupsOf(rows, (row) => row.workflow).slice(0, 5).map((group) => ({ ...group, runs: Math.round(group.calls / 3), averageCost: group.name === '' ? null : group.cost / Math.max(1, Math.round(group.calls / 3)) })),
    offered: { workflows: names((row) => row.workflow), providers: names((row) => row.provider), tiers: names((row) => row.tier) },
    notes: { skippedLines: 0, duplicates: 0, tests: 0 }, alerts: { state: 'none' }, readAt: NOW, page: null,
  };
}

export function pageOf(all: readonly Row[], view: View, { sort, offset, limit }: Rows, revision = 1): Page {
  const rows = sorted(viewed(all, view), sort);
  return { revision, total: rows.length, offset, rows: rows.slice(offset, offset + limit) };
}
