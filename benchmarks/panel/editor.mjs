// The panel in a real editor: the packaged extension in code-server, driven in a headless Chromium as its tests do.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { notes } from './page.mjs';

const EXTENSION = fileURLToPath(new URL('../../vscode-extension/', import.meta.url));
const OPEN = 'LLM Telemetry: Open in Editor Tab';

const REPAINT_MS = 100;
const ALL_MS = 1000;
const CHARTS_MS = 200;
const READY_MS = 500;
const PACKAGE_KB = 400;
/** Percent of one core. */
const IDLE = 0.5;
/** With one look by the clock in it. */
const IDLE_SECONDS = 32;
const TICKS_A_SECOND = 100;
/** What an editor does when it has started. */
const SETTLE_MS = 20_000;

/** How the tests install and open an editor. */
export async function tools(folder) {
  const { build } = createRequire(join(EXTENSION, 'package.json'))('esbuild');
  const outfile = join(folder, 'editor.mjs');
  const driver = pathToFileURL(join(EXTENSION, 'node_modules/playwright-core/index.mjs')).href;
  await build({
    stdin: { contents: "export { default as setup } from './setup'; export { Editor } from './editor';", resolveDir: join(EXTENSION, 'test/e2e'), loader: 'ts' },
    bundle: true, platform: 'node', target: 'node20', format: 'esm', outfile, logLevel: 'warning',
    // They find their files beside themselves.
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(EXTENSION, 'test/e2e/setup.ts')).href) },
    plugins: [{ name: 'driver', setup: ({ onResolve }) => onResolve({ filter: /^playwright-core$/ }, () => ({ path: driver, external: true })) }],
  });
  return import(pathToFileURL(outfile).href);
}

/** Lines of the table as those of data.mjs; throws nothing where no editor can be had, but says why in `skipped`. */
export async function* figures(size, folder, { setup, Editor }) {
  let installed;
  const remove = setup({ provide: (_, found) => (installed = found) });
  if ('missing' in installed) {
    yield { what: `editor ${size}`, skipped: installed.missing };
    return;
  }
  const workspace = mkdtempSync(join(tmpdir(), 'panel-workspace-'));
  const bare = mkdtempSync(join(tmpdir(), 'panel-no-extensions-'));
  const mark = `panel-${process.pid}-${size}`;
  const opening = { settings: { 'attune.telemetry.folder': folder }, height: 1600, environment: { ATTUNE_BENCHMARK: mark } };
  try {
    yield { what: '.vsix', value: statSync(installed.vsix).size / 1000, bar: PACKAGE_KB, unit: 'kB', beside: '' };
    let idle;
    const editor = await Editor.open(installed, workspace, opening);
    try {
      await editor.page.context().addInitScript(notes);
      await editor.page.evaluate(notes);
      yield* ofPanel(size, editor);
      idle = await idleShare(mark);
    } finally {
      await editor.close();
    }
    const without = await Editor.open({ ...installed, extensions: bare }, workspace, opening);
    try {
      await wait(SETTLE_MS);
      const base = await idleShare(mark);
      const beside = `of a core in ${IDLE_SECONDS} s: ${idle.toFixed(2)} % with it, ${base.toFixed(2)} % without`;
      yield { what: `idle ${size}`, value: Math.max(0, idle - base), bar: IDLE, unit: '%', beside };
    } finally {
      await without.close();
    }
  } finally {
    for (const path of [workspace, bare]) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    remove?.();
  }
}

async function* ofPanel(size, editor) {
  await opened(editor);
  const rounds = [];
  for (let round = 0; round < 7; round++) {
    await editor.command('View: Close All Editors');
    await editor.page.locator('iframe.webview').waitFor({ state: 'detached' });
    const { waited, begin, overview, figures, charts } = await opened(editor);
    const enter = await editor.page.evaluate(() => window.noted.enter);
    rounds.push({
      whole: figures - enter, waited, ready: figures - enter - waited, loading: begin - enter - waited, answering: overview - begin,
      charts: Math.max(...charts) - overview,
    });
  }
  const of = (name) => rounds.map((round) => round[name]);
  const ms = (name) => `${median(of(name)).toFixed(0)} ms`;
  const parts = `${all(of('ready'))}; until its page runs ${ms('loading')}, then until it has data ${ms('answering')}`;
  yield { what: `panel ready ${size}`, value: median(of('ready')), bar: READY_MS, unit: 'ms', beside: parts };
  yield { what: `  with the worker's start`, value: median(of('whole')), bar: Infinity, unit: 'ms', beside: `the browser starts the editor's service worker in ${ms('waited')}` };
  yield { what: `charts ${size}`, value: median(of('charts')), bar: CHARTS_MS, unit: 'ms', beside: `from the data; ${all(of('charts'))}` };

  const frame = editor.webview();
  await frame.getByRole('group', { name: 'Period' }).or(frame.getByRole('radiogroup', { name: 'Period' })).getByText('All', { exact: true }).click();
  await settled(frame);
  const filters = [];
  await frame.getByRole('search').getByRole('button', { name: /^Provider/ }).click();
  const names = await frame.getByRole('menuitemcheckbox').allTextContents();
  for (const name of [...names, ...names]) {
    const box = frame.getByRole('menuitemcheckbox', { name: name.trim(), exact: true });
    filters.push(await fromClick(box, 'filter'));
    await settled(frame);
    await wait(300);
  }
  await editor.page.keyboard.press('Escape');
  yield { what: `filter ${size}, repainted`, value: median(filters), bar: REPAINT_MS, unit: 'ms', beside: `from the click; ${all(filters)}` };

  const list = frame.getByRole('region', { name: 'Activity', exact: true }).getByRole('button', { name: 'All', exact: true });
  const first = await fromClick(list, 'list');
  const scrolled = await frame.getByRole('grid', { name: 'Calls' }).evaluate(toRow, 1000);
  yield { what: `1,000 rows of ${size}`, value: first + scrolled, bar: ALL_MS, unit: 'ms', beside: `first rows ${first.toFixed(0)} ms, the thousandth ${scrolled.toFixed(0)} ms` };
}

async function opened(editor) {
  await editor.command(OPEN);
  const frame = editor.webview();
  await frame.locator('[data-figure=calls]').waitFor();
  await settled(frame);
  const body = frame.locator('body');
  for (;;) {
    const noted = await body.evaluate((_, charts) => (window.noted.charts.length >= charts ? window.noted : null), await frame.locator('canvas').count());
    if (noted && noted.charts.length > 0 && !Number.isNaN(noted.figures)) return noted;
    await wait(50);
  }
}

async function settled(frame) {
  await frame.locator('body:not(:has(.skeleton)):not(:has(.codicon-modifier-spin))').waitFor({ state: 'attached' });
}

/** `what`: one of those that page.mjs knows. */
async function fromClick(locator, what) {
  const element = await locator.elementHandle();
  const waiting = await element.evaluateHandle((_, wanted) => ({ time: window.fromClick(wanted) }), what);
  await element.click();
  return waiting.evaluate(({ time }) => time);
}

/** Runs in the page: scrolls the list to a row and waits until it and its neighbours are painted. */
function toRow(grid, index) {
  return new Promise((resolve) => {
    const begin = performance.now();
    const height = grid.querySelector('[role=rowgroup] [role=row]').getBoundingClientRect().height;
    let scroller = grid;
    while (scroller.scrollHeight <= scroller.clientHeight + 1 || getComputedStyle(scroller).overflowY === 'visible') scroller = scroller.parentElement;
    scroller.scrollTop += height * index;
    const look = () => {
      const row = grid.querySelector(`[role=row][aria-rowindex="${index + 1}"]`);
      if (row && row.querySelectorAll('[role=gridcell]').length > 3) setTimeout(() => resolve(performance.now() - begin));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}

/** CPU time of the editor's extension host while nothing happens, in percent of a core. */
async function idleShare(mark) {
  const hosts = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isHost(name, mark));
  if (hosts.length === 0) throw new Error('no extension host was found');
  const spent = () => hosts.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  }, 0);
  await wait(3000);
  const before = spent();
  await wait(IDLE_SECONDS * 1000);
  return (100 * (spent() - before)) / IDLE_SECONDS;
}

function isHost(pid, mark) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=extensionHost') && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark);
  } catch {
    return false; // it ended
  }
}

function median(values) {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
}

function all(values) {
  return values.map((value) => value.toFixed(0)).join(' ');
}
