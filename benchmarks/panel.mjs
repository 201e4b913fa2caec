// How fast the VS Code panel reads and counts a long history: ratios to reading the same bytes, absolute times beside them.
//
//     node benchmarks/panel.mjs [--records 1000000] [--keep FOLDER]
//
// Each figure is measured in Node processes of its own, the smallest of some rounds: a machine that others use as well makes
// times longer and never shorter. Exit code 1 means that a bar was missed.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const EXTENSION = fileURLToPath(new URL('../vscode-extension/', import.meta.url));
const SELF = fileURLToPath(import.meta.url);
const DAY = 86_400_000;
const DAYS = 30;
const SEGMENT_BYTES = 64 * 1024 * 1024;
const NO_FILTERS = { workflows: [], providers: [], tiers: [], outcomes: [], text: '' };
const SIZES = [10_000, 100_000, 1_000_000];

// --- the records ---------------------------------------------------------------------------------------------------

const MODELS = [
  ['anthropic', 'claude-haiku-4-5', 'cheap', 1e-6], ['anthropic', 'claude-sonnet-4-5', 'capable', 3e-6],
  ['openai', 'gpt-5-mini', 'cheap', 5e-7], ['openai', 'gpt-5', 'premium', 5e-6], ['gcp.gemini', 'gemini-2.5-flash', 'cheap', 4e-7],
];
const STAGES = [['code-review', 'triage'], ['code-review', 'analyze'], ['support-answer', 'retrieve'], ['support-answer', 'answer'], ['weekly-report', 'write']];

/** Lines of about 630 bytes, as today's writers write them. */
function* lines(count, end) {
  let state = 1;
  const below = (limit) => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) % limit;
  const hex = (digits) => Array.from({ length: digits / 4 }, () => below(65536).toString(16).padStart(4, '0')).join('');
  for (let i = 0; i < count; i++) {
    const [provider, model_id, tier, price] = MODELS[below(MODELS.length)];
    const [workflow_name, step_name] = STAGES[below(STAGES.length)];
    const input_tokens = 200 + below(9000);
    const output_tokens = 20 + below(900);
    const failed = below(50) === 0;
    const unknown = below(25) === 0;
    const call_id = hex(16);
    const run_id = hex(32);
    yield `${JSON.stringify({
      call_id, timestamp: `${new Date(end - DAYS * DAY + (i * DAYS * DAY) / count).toISOString().slice(0, -1)}${String(below(1000)).padStart(3, '0')}Z`,
      workflow_name, step_name, user_id: null, session_id: `ivan-${below(5000)}`, task_type: step_name, provider, tier, model_id,
      input_tokens, output_tokens, ...(unknown ? {} : { estimated_cost: Number(((input_tokens + 5 * output_tokens) * price).toFixed(9)) }),
      actual_cost: null, latency_ms: 300 + below(20000), fallback_used: below(100) === 0, fallback_chain: [], original_provider: null,
      original_model: null, retry_count: below(40) === 0 ? 1 : 0, circuit_breaker_state: null, success: !failed,
      error_type: failed ? 'timeout' : null, error_message: null,
      metadata: { run_id, attune: { run_id, cost_source: unknown ? 'unknown' : 'table', baseline_cost: 0.0125, pid: 7, ...(unknown ? { unknown: ['estimated_cost'] } : {}) } },
    })}\n`;
  }
}

function write(folder, count, end) {
  mkdirSync(folder, { recursive: true });
  let number = 0;
  let size = 0;
  let file = openSync(join(folder, 'llm_calls.jsonl'), 'w');
  let block = [];
  let length = 0;
  const flush = () => {
    writeSync(file, block.join(''));
    size += length;
    block = [];
    length = 0;
  };
  for (const line of lines(count, end)) {
    block.push(line);
    length += line.length;
    if (length > 1 << 20) flush();
    if (size < SEGMENT_BYTES) continue;
    closeSync(file);
    file = openSync(join(folder, `llm_calls.${String(++number).padStart(5, '0')}.jsonl`), 'w');
    size = 0;
  }
  flush();
  closeSync(file);
}

// --- what a child process does -------------------------------------------------------------------------------------

const milliseconds = async (work) => {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
};
const smallest = async (rounds, work) => {
  let best = Infinity;
  for (let round = 0; round < rounds; round++) best = Math.min(best, await milliseconds(() => work(round)));
  return best;
};

const children = {
  /** The same bytes, and nothing done with them. */
  async read(folder) {
    return { ms: await milliseconds(() => readdirSync(folder).forEach((name) => readFileSync(join(folder, name)))) };
  },
  async cold(folder, bundle, storage) {
    const { Dataset } = createRequire(SELF)(join(bundle, 'data.cjs'));
    const dataset = new Dataset({ folder, storage: storage || null, workerFile: join(bundle, 'worker.cjs') });
    const ms = await milliseconds(() => dataset.refresh());
    await dataset.save();
    return { ms, records: dataset.reading.records, rss: process.memoryUsage().rss / 1e6, highest: process.resourceUsage().maxRSS / 1e3 };
  },
  async warm(folder, bundle, storage) {
    return children.cold(folder, bundle, storage);
  },
  /** What a repaint asks for, with another filter each time. */
  async repaint(folder, bundle) {
    const { Dataset } = createRequire(SELF)(join(bundle, 'data.cjs'));
    const dataset = new Dataset({ folder, storage: null, workerFile: join(bundle, 'worker.cjs') });
    await dataset.refresh();
    const texts = ['a', 'review', 'openai', 'e', 'answer', 'ivan-1', 'g'];
    const repaint = (sort) => async (round) => {
      const view = { range: { name: 'all' }, filters: { ...NO_FILTERS, text: texts[round % texts.length] } };
      dataset.overview(view, null, false);
      await dataset.page(view, sort, 0, 20, false);
    };
    const newest = { column: 'time', descending: true };
    await repaint(newest)(0);
    const filter = await smallest(7, repaint(newest));
    const dearest = { column: 'cost', descending: true };
    const sort = await milliseconds(() => repaint(dearest)(0));
    const sorted = await smallest(5, repaint(dearest));
    return { filter, sort, sorted, rss: process.memoryUsage().rss / 1e6 };
  },
  async append(folder, bundle) {
    const { Dataset } = createRequire(SELF)(join(bundle, 'data.cjs'));
    const dataset = new Dataset({ folder, storage: null, workerFile: join(bundle, 'worker.cjs') });
    await dataset.refresh();
    const last = readdirSync(folder).filter((name) => name.endsWith('.jsonl')).sort().at(-1);
    const hundred = [...lines(100, Date.now())].join('');
    let best = Infinity;
    for (let round = 0; round < 15; round++) {
      const file = openSync(join(folder, last), 'a');
      writeSync(file, hundred);
      closeSync(file);
      // Work, and not waiting for the disk or for others.
      const begin = process.cpuUsage();
      await dataset.refresh();
      const { user, system } = process.cpuUsage(begin);
      best = Math.min(best, (user + system) / 1000);
    }
    return { ms: best };
  },
};

function child(what, ...args) {
  return JSON.parse(execFileSync(process.execPath, [SELF, '--child', what, ...args], { maxBuffer: 1 << 24 }).toString());
}

// --- figures and bars ----------------------------------------------------------------------------------------------

const COLD = { 10_000: 12, 100_000: 6, 1_000_000: 7 };
const MEMORY_MB = 200;
const APPEND_MS = 5;
const REPAINT_MS = 100;

/** One line of the table: what, the ratio or figure that has a bar, its bar, and what stands beside it. */
function* figures(size, folder, bundle) {
  const rounds = size < 1_000_000 ? 5 : 3;
  let read = Infinity;
  let cold = { ms: Infinity };
  for (let round = 0; round < rounds; round++) {
    read = Math.min(read, child('read', folder).ms);
    const found = child('cold', folder, bundle, '');
    if (found.records !== size) throw new Error(`${found.records} of ${size} records were read`);
    if (found.ms < cold.ms) cold = found;
  }
  const beside = `${cold.ms.toFixed(0)} ms, reading ${read.toFixed(0)} ms`;
  yield { what: `cold ${size}`, value: cold.ms / read, bar: COLD[size] ?? Infinity, unit: '×', beside };
  yield { what: `memory ${size}`, value: cold.rss, bar: MEMORY_MB, unit: 'MB', beside: `${cold.highest.toFixed(0)} MB at most` };
  const storage = mkdtempSync(join(tmpdir(), 'panel-columns-'));
  child('cold', folder, bundle, storage);
  const warm = Math.min(...[1, 2, 3].map(() => child('warm', folder, bundle, storage).ms));
  rmSync(storage, { recursive: true });
  yield { what: `warm start ${size}`, value: warm / cold.ms, bar: 1, unit: '× cold', beside: `${warm.toFixed(0)} ms` };
  const { filter, sort, sorted } = child('repaint', folder, bundle);
  const others = `sorting by cost ${sort.toFixed(0)} ms at first, then ${sorted.toFixed(0)} ms`;
  yield { what: `filter ${size}`, value: filter, bar: REPAINT_MS, unit: 'ms', beside: others };
  yield { what: `append 100 to ${size}`, value: child('append', folder, bundle).ms, bar: APPEND_MS, unit: 'ms', beside: 'CPU time' };
}

async function bundled(folder) {
  const { build } = createRequire(join(EXTENSION, 'package.json'))('esbuild');
  await build({
    entryPoints: { data: join(EXTENSION, 'src/data/index.ts'), worker: join(EXTENSION, 'src/worker.ts') },
    bundle: true, minify: true, platform: 'node', target: 'node20', format: 'cjs', outdir: folder, outExtension: { '.js': '.cjs' },
    logLevel: 'warning',
  });
}

async function main() {
  const option = (name) => process.argv[process.argv.indexOf(name) + 1];
  const most = process.argv.includes('--records') ? Number(option('--records')) : SIZES.at(-1);
  const kept = process.argv.includes('--keep') ? option('--keep') : null;
  const top = kept ?? mkdtempSync(join(tmpdir(), 'panel-'));
  let missed = 0;
  try {
    const bundle = join(top, 'bundle');
    await bundled(bundle);
    for (const size of SIZES.filter((one) => one <= most)) {
      const folder = join(top, String(size));
      rmSync(folder, { recursive: true, force: true });
      write(folder, size, Date.now());
      const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
      console.log(`${size} records, ${Math.round(bytes / size)} bytes each`);
      for (const { what, value, bar, unit, beside } of figures(size, folder, bundle)) {
        const isMissed = value > bar;
        missed += Number(isMissed);
        const wanted = bar === Infinity ? '' : `≤ ${bar}`;
        console.log(`  ${what.padEnd(24)} ${value.toFixed(2).padStart(8)} ${unit.padEnd(7)} ${wanted.padEnd(7)} ${isMissed ? 'MISSED' : '      '} ${beside}`);
      }
    }
  } finally {
    if (!kept) rmSync(top, { recursive: true, force: true });
  }
  process.exitCode = missed ? 1 : 0;
}

if (process.argv[2] === '--child') console.log(JSON.stringify(await children[process.argv[3]](...process.argv.slice(4))));
else await main();
