/** Answers the questions of tests/golden from a folder's records; what the panel never shows is counted here. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NO_FILTERS } from '../../../shared/protocol';
import { Cells, groupsOf } from '../../../src/data/aggregates';
import { Flag, SERIES, type Chunk } from '../../../src/data/columns';
import { Filter } from '../../../src/data/filter';
import { objectOf, parse, listOf } from '../../../src/data/json';
import { periodOf, type Period } from '../../../src/data/periods';
import { runIn, type RunRecord } from '../../../src/data/records';
import { RunFlag } from '../../../src/data/runTable';
import type { Snapshot } from '../../../src/data/snapshot';
import { Store } from '../../../src/data/store';
import { timeOf } from '../../../src/data/times';

export interface Question {
  readonly figures: 'calls' | 'runs' | 'stages' | 'notes';
  readonly group_by: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly include_tests?: boolean;
  readonly now?: string;
  readonly window?: { readonly calendar?: string; readonly time_zone?: string; readonly back?: number };
  readonly expected: readonly Answer[];
}
export type Values = Record<string, number | null>;
export interface Answer { readonly of: readonly string[] }
/** A group's labels and its values. */
export type Row = Answer & { readonly values: Values };
export interface Case { readonly time_zone: string; readonly now: string; readonly questions: readonly Question[] }

export async function answersTo(folder: string, { questions, now }: Case): Promise<Row[][]> {
  const store = new Store(folder, null, null);
  await store.look(() => undefined);
  return questions.map((question) => {
    const answers = new Asked(folder, store.snapshot, question).answers();
    const { window } = question;
    // The one window of the panel that begins at a local midnight of today.
    if (window?.calendar === 'day' && !window.back && !window.time_zone) {
      const today = periodOf({ name: 'today' }, Date.parse(question.now ?? now), null);
      for (const { values } of answers) Object.assign(values, { since: today.since, until: today.until });
    }
    return answers;
  });
}

class Asked {
  private readonly period: Period;

  constructor(
    private readonly folder: string,
    private readonly snapshot: Snapshot,
    private readonly question: Question,
  ) {
    this.period = { since: momentOf(question.since, -Infinity), until: momentOf(question.until, Infinity) };
  }

  answers(): Row[] {
    switch (this.question.figures) {
      case 'calls':
        return this.calls();
      case 'notes': {
        const { skippedLines, duplicates, tests } = this.snapshot.notes;
        return [{ of: [], values: { duplicates, tests, skipped: skippedLines } }];
      }
      default:
        return this.runs();
    }
  }

  private calls(): Row[] {
    const { dictionary, chunks, segments } = this.snapshot;
    const filter = new Filter(dictionary, this.period, NO_FILTERS, this.question.include_tests ?? false);
    const found = new Map<string, { of: string[]; sums: Values; ok: number[]; first: number[] }>();
    chunks.forEach((chunk, place) => {
      for (let row = 0; row < chunk.length; row++) {
        if (!filter.counts(chunk, row)) continue;
        const attune = objectOf(objectOf(objectOf(parse(this.line(segments[place]!, chunk.offset(row)))).metadata).attune);
        const of = this.question.group_by.map((name) => this.label(chunk, row, name, attune));
        const key = JSON.stringify(of);
        let group = found.get(key);
        if (!group) found.set(key, (group = { of, sums: {}, ok: [], first: [] }));
        addCall(group.sums, chunk, row, attune);
        if (!(chunk.flags[row]! & (Flag.error | Flag.cancelled))) group.ok.push(chunk.count('latency', row));
        const first = attune.time_to_first_token_ms;
        if (typeof first === 'number' && first >= 0) group.first.push(first);
      }
    });
    const shown = this.shown(filter);
    return [...found.values()].map(({ of, sums, ok, first }) => ({
      of, values: { ...sums, ...rates(sums), ...durations('latency', ok), ...durations('first_token', first), ...shown.get(JSON.stringify(of)) },
    }));
  }

  /** The figures as the panel counts them, where the groups are of the series. */
  private shown(filter: Filter): Map<string, Values> {
    const places = this.question.group_by.map((name) => SERIES.indexOf(name as (typeof SERIES)[number]));
    if (places.includes(-1) || this.question.group_by.includes('error')) return new Map();
    const { dictionary, chunks } = this.snapshot;
    const groups = groupsOf(dictionary, places);
    const cells = new Cells(dictionary, groups.of, groups.first.length, [this.period]);
    cells.addAll(chunks, filter);
    const sumsOf = new Map<number, Float64Array>();
    for (const [, group, , more] of cells.all()) sumsOf.set(group, more.map((value, place) => value + (sumsOf.get(group)?.[place] ?? 0)));
    const shown = new Map<string, Values>();
    for (const [group, sums] of sumsOf) {
      const figures = figuresOf(sums);
      shown.set(JSON.stringify(places.map((place) => dictionary.of(groups.first[group]!, place))), figures);
    }
    return shown;
  }

  private label(chunk: Chunk, row: number, name: string, attune: ReturnType<typeof objectOf>): string {
    const { dictionary } = this.snapshot;
    const flags = chunk.flags[row]!;
    switch (name) {
      case 'outcome':
        return outcomeOf(!(flags & Flag.error), Boolean(flags & Flag.cancelled));
      case 'user':
        return dictionary.whose(chunk.who[row]!, 0);
      case 'session':
        return dictionary.whose(chunk.who[row]!, 1);
      case 'service':
        return String(attune.service ?? '');
      case 'source':
        return String(attune.cost_source ?? '');
      case 'error':
        return flags & Flag.error ? dictionary.of(chunk.series[row]!, SERIES.indexOf('error')) || '_OTHER' : '';
      default:
        return dictionary.of(chunk.series[row]!, SERIES.indexOf(name as (typeof SERIES)[number]));
    }
  }

  private runs(): Row[] {
    const found = new Map<string, { of: string[]; sums: Values; took: number[] }>();
    const add = (of: string[], sums: Values, took: number): void => {
      const key = JSON.stringify(of);
      let group = found.get(key);
      if (!group) found.set(key, (group = { of, sums: { ok: 0, error: 0, cancelled: 0 }, took: [] }));
      for (const [name, value] of Object.entries(sums)) group.sums[name] = (group.sums[name] ?? 0) + (value ?? 0);
      group.took.push(took);
    };
    for (const { table, row, segment } of this.snapshot.runs.all()) {
      const test = Boolean(table.flags[row]! & RunFlag.test);
      const time = table.time[row]!;
      if ((test && !this.question.include_tests) || time < this.period.since || time >= this.period.until) continue;
      const run = runIn(new TextEncoder().encode(this.line(segment, table.offset[row]!)))!;
      if (this.question.figures === 'runs') addRun(run, this.question.group_by, add);
      else addStages(run, this.question.group_by, add);
    }
    return [...found.values()].map(({ of, sums, took }) => ({ of, values: { ...sums, ...durations('duration', took) } }));
  }

  private line(segment: string, offset: number): string {
    const bytes = readFileSync(join(this.folder, segment));
    return new TextDecoder().decode(bytes.subarray(offset, bytes.indexOf(10, offset)));
  }
}

type Add = (of: string[], sums: Values, took: number) => void;

function addRun(run: RunRecord, groupBy: readonly string[], add: Add): void {
  const outcome = outcomeOf(run.success, run.cancelled);
  const labels: Record<string, string> = { workflow: run.workflow, project: run.project ?? '', outcome };
  const root = run.parentId === null;
  add(groupBy.map((name) => labels[name]!), {
    runs: 1, roots: Number(root), cost: root ? run.cost : 0, baseline: root ? run.baseline : 0, savings: root ? run.savings : 0,
    root_ms: root ? run.duration : 0, [outcome]: 1,
  }, run.duration);
}

function addStages(run: RunRecord, groupBy: readonly string[], add: Add): void {
  for (const stage of run.stages.filter((one) => !one.skipped)) {
    const outcome = outcomeOf(stage.success, stage.cancelled);
    const labels: Record<string, string> = { workflow: run.workflow, stage: stage.name, tier: stage.tier, outcome };
    add(groupBy.map((name) => labels[name]!), { stages: 1, cost: stage.cost ?? 0, [outcome]: 1 }, stage.latency);
  }
}

function addCall(sums: Values, chunk: Chunk, row: number, attune: ReturnType<typeof objectOf>): void {
  const flags = chunk.flags[row]!;
  const cost = chunk.cost[row]!;
  const baseline = chunk.baseline[row]!;
  const known = !Number.isNaN(baseline);
  const waste = (outcome: string): number => listOf(attune.attempts).map(objectOf).filter((one) => one.outcome === outcome)
    .reduce((sum, { cost: wasted }) => sum + (typeof wasted === 'number' ? wasted : 0), 0);
  const outcome = outcomeOf(!(flags & Flag.error), Boolean(flags & Flag.cancelled));
  const more: Values = {
    calls: 1, cost: Number.isNaN(cost) ? 0 : cost, unknown: Number(Number.isNaN(cost) && !(flags & Flag.costless)),
    baseline: known ? baseline : 0, savings: known ? baseline - cost : 0, input: chunk.count('input', row),
    output: chunk.count('output', row), cache_read: chunk.count('cacheRead', row), cache_write: chunk.count('cacheWrite', row),
    reasoning: chunk.count('reasoning', row), retries: chunk.count('retries', row), fallbacks: Number(Boolean(flags & Flag.fallback)),
    truncated: Number(Boolean(flags & Flag.truncated)), retry_waste: waste('retry'), fallback_waste: waste('fallback'),
    ok: 0, error: 0, cancelled: 0, [outcome]: 1,
  };
  for (const [name, value] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + (value ?? 0);
}

function figuresOf(sums: Float64Array): Values {
  const [calls = 0, ok = 0, error = 0, cancelled = 0, cost = 0, unknown = 0, baseline = 0, savings = 0, input = 0, output = 0,
    read = 0, write = 0, reasoning = 0, retries = 0, fallbacks = 0, truncated = 0, latency = 0] = sums;
  return {
    calls, ok, error, cancelled, cost, unknown, baseline, savings, input, output, cache_read: read, cache_write: write, reasoning,
    retries, fallbacks, truncated, latency_avg: ok ? latency / ok : null,
  };
}

function rates(sums: Values): Values {
  const { ok = 0, error = 0, calls = 0, savings = 0, baseline = 0 } = sums as Record<string, number>;
  return {
    success_rate: ok + error ? (100 * ok) / (ok + error) : null,
    error_rate: calls ? (100 * error) / calls : null,
    savings_percent: baseline ? (100 * savings) / baseline : null,
  };
}

function durations(name: string, values: readonly number[]): Values {
  const inOrder = [...values].sort((one, other) => one - other);
  const rank = (percent: number): number | null => inOrder[Math.max(1, Math.ceil((inOrder.length * percent) / 100)) - 1] ?? null;
  return {
    [`${name}_count`]: inOrder.length,
    [`${name}_avg`]: inOrder.length ? inOrder.reduce((sum, value) => sum + value, 0) / inOrder.length : null,
    [`${name}_min`]: inOrder[0] ?? null,
    [`${name}_max`]: inOrder.at(-1) ?? null,
    [`${name}_p50`]: rank(50),
    [`${name}_p95`]: rank(95),
    [`${name}_p99`]: rank(99),
  };
}

function outcomeOf(success: boolean, cancelled: boolean): string {
  return cancelled ? 'cancelled' : success ? 'ok' : 'error';
}

function momentOf(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : timeOf(text);
}
