/** What the panel counts is what `empathy telemetry summary` counts, on folders of random lines, in any time zone. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Figures, Group, Overview, Range } from '../../../shared/protocol';
import { timeOf } from '../../../src/data/times';
import { inZone } from './elsewhere';
import { NEEDS_PYTHON, python, PYTHON } from './python';

const NOW = '2026-11-23T12:34:56.789Z';
/** Ranges and what they are on the command line. */
const RANGES: readonly (readonly [range: Range, since: string, until?: string])[] = [
  [{ name: 'today' }, 'today'],
  [{ name: '7d' }, '2026-11-17'],
  [{ name: '30d' }, '2026-10-25'],
  [{ name: 'all' }, 'all'],
  [{ name: 'custom', from: '2026-11-18', to: '2026-11-20' }, '2026-11-18', '2026-11-21'],
];
const FOLDERS = [[1, 400], [3, 60]] as const;

interface Totals { readonly [key: string]: number | null | Record<string, number> }
interface Summary {
  readonly data: {
    readonly totals: Totals;
    readonly before: { readonly totals: Totals } | null;
    readonly over_time: readonly { readonly since: string; readonly cost: number | null; readonly calls: number }[];
    readonly groups: readonly (Totals & { readonly name: string })[];
  };
  readonly notes: readonly string[];
}
type Answers = Record<string, { readonly workflow: Summary; readonly tier: Summary }>;

const ASK = `
import contextlib, io, json, sys, time
from datetime import datetime
from pathlib import Path
from random_folders import write_folder
from attune_monitoring.cli import main
top, folders, ranges, now = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3]), datetime.fromisoformat(sys.argv[4])
time.tzset()
answers = {}
for seed, size in folders:
    folder = top / str(seed)
    write_folder(folder, seed, size)
    for tests in (False, True):
        for place, (_, since, *until) in enumerate(ranges if not tests else ranges[:2]):
            found = {}
            for by in ("workflow", "tier"):
                arguments = ["telemetry", "summary", "--format", "json", "--dir", str(folder), "--since", since, "--by", by, "--limit", "1000"]
                arguments += [part for end in until for part in ("--until", end)] + ["--include-tests"] * tests
                out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
                with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
                    main(arguments, now=now)
                found[by] = json.loads((out.flush(), out.buffer.getvalue())[1])
            answers[f"{seed} {place} {tests}"] = found
print(json.dumps(answers))
`;

const SHOW = (top: string): string => `
import { join } from 'node:path';
import { NO_FILTERS } from '../../../shared/protocol';
import { Dataset } from '../../../src/data';
async function main() {
  const answers = {};
  for (const [seed] of ${JSON.stringify(FOLDERS)}) {
    const dataset = new Dataset({ folder: join(${JSON.stringify(top)}, String(seed)), storage: null, workerFile: null, now: () => Date.parse('${NOW}') });
    await dataset.refresh();
    for (const tests of [false, true]) for (const [place, [range]] of ${JSON.stringify(RANGES)}.slice(0, tests ? 2 : 9).entries()) {
      answers[\`\${seed} \${place} \${tests ? 'True' : 'False'}\`] = dataset.overview({ range, filters: NO_FILTERS }, null, tests);
    }
  }
  console.log(JSON.stringify(answers));
}
void main();
`;

describe.skipIf(!PYTHON).each(['America/New_York', 'Asia/Kolkata'])(`the figures of %s${NEEDS_PYTHON}`, (zone) => {
  let top = '';
  let theirs: Answers = {};
  let mine: Record<string, Overview> = {};

  beforeAll(async () => {
    top = await mkdtemp(join(tmpdir(), 'folders-'));
    theirs = JSON.parse(await python(ASK, [top, JSON.stringify(FOLDERS), JSON.stringify(RANGES), NOW], { TZ: zone })) as Answers;
    mine = (await inZone(zone, SHOW(top))) as Record<string, Overview>;
  }, 300_000);
  afterAll(() => rm(top, { recursive: true, force: true }));

  test('are the same for every range, with tests and without', () => {
    expect(Object.keys(mine).sort()).toEqual(Object.keys(theirs).sort());
    for (const [key, { workflow, tier }] of Object.entries(theirs)) {
      const overview = mine[key]!;
      same(key, overview.totals, workflow.data.totals);
      expect(overview.before === null, `${key} before`).toBe(workflow.data.before === null);
      if (overview.before && workflow.data.before) same(`${key} before`, overview.before, workflow.data.before.totals);
      groups(`${key} tier`, overview.tiers, tier);
      // The dearest only.
      groups(`${key} workflow`, overview.workflows, workflow);
      overTime(key, overview, workflow);
    }
  });
});

function groups(what: string, found: readonly Group[], { data }: Summary): void {
  // What has no name is called so there.
  const named = data.groups.map((group): Totals & { readonly name: string } => Object.assign({}, group, { name: group.name.replace(/^\(no \w+\)$/, '') }));
  expect(found.map(({ name }) => name).sort(), what).toEqual(named.map(({ name }) => name).sort());
  for (const group of found) same(`${what} ${group.name}`, group, named.find(({ name }) => name === group.name)!);
}

function overTime(key: string, { parts, slice, period }: Overview, { data }: Summary): void {
  const known = data.over_time;
  // A range of all begins where the records do; without calls there is no line.
  if (known.length === 0) return;
  expect(parts.map(({ since }) => since), `${key} ${slice} ${period.since}`).toEqual(known.map(({ since }) => timeOf(since)));
  parts.forEach(({ figures }, place) => {
    expect(figures.calls, `${key} ${place}`).toBe(known[place]!.calls);
    near(`${key} ${place}`, figures.cost, known[place]!.cost ?? 0);
  });
}

function same(what: string, figures: Figures, totals: Totals): void {
  const counts: readonly (readonly [keyof Figures, string])[] = [
    ['calls', 'calls'], ['unknownCost', 'unknown_cost_calls'], ['input', 'input_tokens'], ['output', 'output_tokens'],
    ['cacheRead', 'cache_read_tokens'], ['cacheWrite', 'cache_write_tokens'], ['reasoning', 'reasoning_tokens'], ['retries', 'retries'],
    ['fallbacks', 'fallbacks'], ['truncated', 'truncated'],
  ];
  for (const [mine, theirs] of counts) expect(figures[mine], `${what} ${theirs}`).toBe(totals[theirs]);
  const { ok, error, cancelled } = figures;
  expect({ ok, error, cancelled }, what).toEqual(totals.outcomes);
  near(`${what} cost`, figures.cost, (totals.cost as number | null) ?? 0);
  near(`${what} baseline`, figures.baseline, totals.baseline_cost as number);
  near(`${what} savings`, figures.savings, totals.savings as number);
  near(`${what} savings %`, figures.savingsPercent, totals.savings_percent as number | null);
  near(`${what} success rate`, figures.successRate, totals.success_rate as number | null);
  near(`${what} latency`, figures.averageLatency, (totals.latency_ms as Record<string, number | null>).average ?? null);
}

function near(what: string, found: number | null, wanted: number | null): void {
  if (found === null || wanted === null) expect(found, what).toBe(wanted);
  else expect(Math.abs(found - wanted), `${what}: ${found} for ${wanted}`).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(wanted)));
}
