// The panel's data path, measured in Node processes of its own: reading, counting, filtering, appending.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lines } from './records.mjs';

const SELF = fileURLToPath(import.meta.url);
const EXTENSION = fileURLToPath(new URL('../../vscode-extension/', import.meta.url));
const NO_FILTERS = { workflows: [], providers: [], tiers: [], outcomes: [], text: '' };

const milliseconds = async (work) => {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
};
const middle = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
const times = async (rounds, work) => {
  const found = [];
  for (let round = 0; round < rounds; round++) found.push(await milliseconds(() => work(round)));
  return middle(found);
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
    const filter = await times(7, repaint(newest));
    const dearest = { column: 'cost', descending: true };
    const sort = await milliseconds(() => repaint(dearest)(0));
    const sorted = await times(5, repaint(dearest));
    return { filter, sort, sorted, rss: process.memoryUsage().rss / 1e6 };
  },
  async append(folder, bundle) {
    const { Dataset } = createRequire(SELF)(join(bundle, 'data.cjs'));
    const dataset = new Dataset({ folder, storage: null, workerFile: join(bundle, 'worker.cjs') });
    await dataset.refresh();
    const last = readdirSync(folder).filter((name) => name.endsWith('.jsonl')).sort().at(-1);
    const hundred = [...lines(100, Date.now())].join('');
    const spent = [];
    for (let round = 0; round < 15; round++) {
      const file = openSync(join(folder, last), 'a');
      writeSync(file, hundred);
      closeSync(file);
      // Work, and not waiting for the disk or for others.
      const begin = process.cpuUsage();
      await dataset.refresh();
      const { user, system } = process.cpuUsage(begin);
      spent.push((user + system) / 1000);
    }
    return { ms: middle(spent) };
  },
};

function child(what, ...args) {
  return JSON.parse(execFileSync(process.execPath, [SELF, '--child', what, ...args], { maxBuffer: 1 << 24 }).toString());
}

const COLD = { 10_000: 12, 100_000: 6, 1_000_000: 7 };
const MEMORY_MB = 200;
const APPEND_MS = 5;
const REPAINT_MS = 100;

/** One line of the table: what, the ratio or figure that has a bar, its bar, and what stands beside it. */
export function* figures(size, folder, bundle) {
  const rounds = size < 1_000_000 ? 9 : 5;
  const reads = [];
  const colds = [];
  // In turns, so that what else the machine does harms both.
  for (let round = 0; round < rounds; round++) {
    reads.push(child('read', folder).ms);
    const found = child('cold', folder, bundle, '');
    if (found.records !== size) throw new Error(`${found.records} of ${size} records were read`);
    colds.push(found);
  }
  const read = middle(reads);
  const ms = middle(colds.map((one) => one.ms));
  const cold = colds.find((one) => one.ms === ms);
  const beside = `${cold.ms.toFixed(0)} ms, reading ${read.toFixed(0)} ms`;
  yield { what: `cold ${size}`, value: cold.ms / read, bar: COLD[size] ?? Infinity, unit: '×', beside };
  yield { what: `memory ${size}`, value: cold.rss, bar: MEMORY_MB, unit: 'MB', beside: `${cold.highest.toFixed(0)} MB at most` };
  const storage = mkdtempSync(join(tmpdir(), 'panel-columns-'));
  child('cold', folder, bundle, storage);
  const warm = middle([1, 2, 3].map(() => child('warm', folder, bundle, storage).ms));
  rmSync(storage, { recursive: true });
  yield { what: `warm start ${size}`, value: warm / cold.ms, bar: 1, unit: '× cold', beside: `${warm.toFixed(0)} ms` };
  const { filter, sort, sorted } = child('repaint', folder, bundle);
  const others = `sorting by cost ${sort.toFixed(0)} ms at first, then ${sorted.toFixed(0)} ms`;
  yield { what: `filter ${size}`, value: filter, bar: REPAINT_MS, unit: 'ms', beside: others };
  yield { what: `append 100 to ${size}`, value: child('append', folder, bundle).ms, bar: APPEND_MS, unit: 'ms', beside: 'CPU time' };
}

export async function bundled(folder) {
  const { build } = createRequire(join(EXTENSION, 'package.json'))('esbuild');
  await build({
    entryPoints: { data: join(EXTENSION, 'src/data/index.ts'), worker: join(EXTENSION, 'src/worker.ts') },
    bundle: true, minify: true, platform: 'node', target: 'node20', format: 'cjs', outdir: folder, outExtension: { '.js': '.cjs' },
    logLevel: 'warning',
  });
}

if (process.argv[2] === '--child') console.log(JSON.stringify(await children[process.argv[3]](...process.argv.slice(4))));
