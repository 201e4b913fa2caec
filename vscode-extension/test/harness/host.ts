/** A host made of made-up records, in one of the states in which the panel can be. */

import { Answering } from '../../shared/conversation';
import type { AlertsState, Detail, Overview, Row, Settings, Step, ToHost, ToWebview } from '../../shared/protocol';
import { NO_FILTERS } from '../../shared/protocol';
import { makeRows, NOW, overviewOf, pageOf, SETTINGS, SOURCE } from './records';

export const STATES = ['normal', 'filtered', 'alerts', 'empty', 'nothing', 'unreadable', 'refused', 'loading', 'light', 'large', 'custom', 'roots'] as const;
export type State = (typeof STATES)[number];

const ALERTS: AlertsState = {
  state: 'running', evaluatedAt: NOW - 9000, rules: 5, pending: 1, faults: [],
  firing: [
    { rule: 'daily-cost', severity: 'critical', condition: 'cost over 1d > 10 USD', value: 12.4173, labels: { project: 'shop' }, since: NOW - 42 * 60_000, silenced: false },
    { rule: 'slow-answers', severity: 'warning', condition: 'p95 latency over 15m > 8 s', value: 9.1, labels: {}, since: NOW - 6 * 60_000, silenced: false },
  ],
};

function stepsOf(row: Row): Step[] {
  const begin = row.time - row.latency - 900;
  const step = (kind: Step['kind'], name: string, depth: number, from: number, to: number, more: Partial<Step> = {}): Step => ({
    kind, name, depth, begin: begin + from, end: begin + to, placed: true, cost: 0.0021, outcome: 'ok', tier: row.tier, model: row.model, key: null, here: false, ...more,
  });
  const end = row.latency + 1400;
  return [
    step('run', row.workflow, 0, 0, end),
    step('stage', 'collect', 1, 10, 600), step('call', 'classify', 2, 40, 580, { key: { segment: 'llm_calls.jsonl', offset: 0 } }),
    step('stage', 'analyze', 1, 620, 900 + row.latency), step('call', 'summarise', 2, 900, 900 + row.latency, { key: row.key, here: true, outcome: row.outcome }),
    step('call', 'critique-of-the-summary', 2, 700, 890, { key: { segment: 'llm_calls.jsonl', offset: 640 }, outcome: 'error', placed: false }),
    step('stage', 'translate', 1, 0, 0, { outcome: 'skipped' }), step('stage', 'report', 1, 920 + row.latency, end),
  ];
}

function detailOf(row: Row): Detail {
  const begin = row.time - row.latency - 900;
  return {
    row, code: { file: 'src/review/pipeline.py', line: 42 }, steps: row.workflow === '' ? [] : stepsOf(row),
    run: row.workflow === '' ? null : { id: 'b7ad6b7169203331', name: row.workflow, begin, duration: row.latency + 1400, cost: 0.0314 },
    facts: Object.entries({
      'Call id': '00f067aa0ba902b7', Finished: new Date(row.time).toISOString(), Workflow: row.workflow, Step: row.stage, Task: 'summarize', Provider: row.provider,
      Model: row.model, Tier: row.tier, 'Input tokens': String(row.input), 'Output tokens': String(row.output), 'Cost source': row.cost === null ? 'unknown' : 'table',
      'Trace id': '4bf92f3577b34da6a3ce929d0e0e4736', Error: row.error, 'Source file': 'src/review/pipeline.py:42',
    }).filter(([, value]) => value !== '').map(([name, value]) => ({ name, value })),
  };
}

/** A page's API whose questions are answered from made-up records. */
export function fakeEditor(state: State, deliver: (message: ToWebview) => void): { postMessage(message: ToHost): void; getState(): unknown; setState(kept: unknown): void } {
  const rows = state === 'empty' ? [] : makeRows(state === 'large' ? 100_000 : 740);
  let settings: Settings = { ...SETTINGS, light: state === 'light', ...(state === 'custom' ? { chartTheme: 'custom' as const, chartColors: ['#b5179e', '#4cc9f0'] } : {}) };
  const never = new Promise<never>(() => undefined);
  const overview = (given: Overview): Overview => {
    switch (state) {
      case 'empty': return { ...given, source: { ...SOURCE, state: 'missing' } };
      case 'unreadable': return { ...given, source: { ...SOURCE, state: 'unreadable', problem: 'EACCES: permission denied' } };
      case 'alerts': return { ...given, alerts: ALERTS, notes: { skippedLines: 3, duplicates: 12, tests: 1 } };
      case 'roots': return { ...given, alerts: { state: 'stale', evaluatedAt: NOW - 3 * 3_600_000, rules: 5, firing: [], pending: 0, faults: [] },
        source: { ...SOURCE, choices: [...SOURCE.choices, { path: '/home/ada/api/.empathy', label: 'api' }] } };
      default: return given;
    }
  };
  const answering = new Answering({
    hello: async () => ({
      settings, slice: null, locale: 'en', texts: {}, trusted: true, overview: null,
      view: {
        range: { name: state === 'large' ? 'all' : state === 'custom' ? 'custom' : '7d', ...(state === 'custom' ? { from: '2026-11-16', to: '2026-11-19' } : {}) },
        filters: state === 'filtered' ? { ...NO_FILTERS, providers: ['anthropic'], outcomes: ['ok'], text: 'claude' } : state === 'nothing' ? { ...NO_FILTERS, text: 'no such thing' } : NO_FILTERS,
      },
    }),
    overview: async ({ view, slice, rows: wanted }) => {
      if (state === 'loading') return never;
      if (state === 'refused') throw new Error('The records could not be read: EIO: i/o error, read');
      return { ...overview(overviewOf(rows, view, slice)), page: wanted && pageOf(rows, view, wanted) };
    },
    page: async (wanted) => (state === 'loading' ? never : pageOf(rows, wanted.view, wanted)),
    detail: async ({ key }) => {
      const row = rows.find((one) => one.key.offset === key.offset);
      if (!row) throw new Error('this record is gone');
      return detailOf(row);
    },
    openCode: async () => ({ opened: 'nowhere' }),
    openRecord: async () => null,
    export: async () => ({ path: '/home/ada/telemetry.csv', rows: rows.length }),
    clear: async () => null,
    refresh: async () => ({ revision: 1 }),
    saveSettings: async ({ settings: changed }) => (settings = { ...settings, ...changed }),
    chooseFolder: async () => null,
    openLink: async () => null,
    busy: async () => null,
  }, deliver);
  let kept: unknown;
  return {
    postMessage: (message) => { void answering.receive(message); },
    getState: () => kept,
    setState: (value) => { kept = value; },
  };
}
