// Takes pictures of the panel in a plain Chromium: every theme, width and state; counts axe and CSP violations.
// node test/harness/look.mjs [--out DIR] [--only TEXT]     needs dist/ (node esbuild.mjs --webview)
import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import esbuild from 'esbuild';
import { chromium } from 'playwright-core';

const option = (name, otherwise) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : otherwise);
const out = option('--out', join(tmpdir(), 'attune-panel'));
const only = option('--only', '');
const root = new URL('../../', import.meta.url);
const built = (name) => readFile(new URL(`dist/${name}`, root), 'utf8');

const page = (await esbuild.build({ entryPoints: [new URL('page.ts', import.meta.url).pathname], bundle: true, write: false, format: 'iife' })).outputFiles[0].text;
// As the host sends it; the editor's own default styles of a webview come first and stand in no layer.
const policy = "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self' data:; script-src 'nonce-look'";
const document = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Telemetry</title>
<link rel="stylesheet" href="/default.css"><link rel="stylesheet" href="/webview.css">
</head><body><div id="root"></div><script nonce="look" src="/page.js"></script><script nonce="look">${await built('first.js')}</script><script type="text/plain" id="program" nonce="look" data-elements="/elements.js">${await built('webview.js')}</script></body></html>`;
const defaults = 'body { margin: 0; padding: 0 20px; background-color: transparent; color: var(--vscode-editor-foreground); font: var(--vscode-font-weight) var(--vscode-font-size) var(--vscode-font-family); } code { color: var(--vscode-textPreformat-foreground); background-color: var(--vscode-textPreformat-background); padding: 1px 3px; } a:focus, input:focus { outline: 1px solid -webkit-focus-ring-color; outline-offset: -1px; } ::-webkit-scrollbar { width: 10px; height: 10px; } ::-webkit-scrollbar-thumb { background-color: var(--vscode-scrollbarSlider-background); }';
const types = { js: 'text/javascript', css: 'text/css', ttf: 'font/ttf' };
const server = createServer(async ({ url }, response) => {
  const name = new URL(url, 'http://x').pathname.slice(1);
  if (name === '') return response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy }).end(document);
  if (name === 'favicon.ico') return response.writeHead(204).end();
  const body = name === 'page.js' ? page : name === 'default.css' ? defaults : await readFile(new URL(`dist/${name}`, root)).catch(() => null);
  if (body === null) return response.writeHead(404).end();
  return response.writeHead(200, { 'content-type': types[name.split('.').pop()] }).end(body);
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const base = `http://127.0.0.1:${server.address().port}/`;

const THEMES = ['dark', 'light', 'hc-dark', 'hc-light'];
const open = (name) => (tab) => tab.getByRole('button', { name, exact: true }).first().click();
const SCENES = [
  ...[300, 480, 800, 1200, 1600].map((width) => ({ name: `overview-${width}`, state: 'normal', width })),
  ...[300, 1200].map((width) => ({ name: `detail-${width}`, state: 'normal', width, act: (tab) => tab.locator('.feed-body .feed-row').nth(3).click({ position: { x: 4, y: 4 } }) })),
  ...[300, 1200].map((width) => ({ name: `settings-${width}`, state: 'custom', width, act: open('Settings') })),
  ...[300, 1200].map((width) => ({ name: `empty-${width}`, state: 'empty', width })),
  ...[300, 1200].map((width) => ({ name: `filtered-${width}`, state: 'filtered', width })),
  ...[300, 1200].map((width) => ({ name: `alerts-${width}`, state: 'alerts', width })),
  { name: 'roots-1200', state: 'roots', width: 1200 },
  { name: 'folder-300', state: 'roots', width: 300 },
  { name: 'menu-800', state: 'filtered', width: 800, act: (tab) => tab.getByRole('button', { name: /^Workflow/ }).first().click() },
  { name: 'folded-300', state: 'filtered', width: 300, act: (tab) => tab.getByRole('button', { name: /^Filters/ }).click() },
  { name: 'all-1200', state: 'large', width: 1200, act: async (tab) => { await open('All')(tab.getByRole('region', { name: 'Activity' })); await tab.keyboard.press('Tab'); await tab.keyboard.press('ArrowDown'); } },
  { name: 'tooltip-1200', state: 'normal', width: 1200, act: (tab) => tab.locator('canvas').first().hover() },
  ...['nothing', 'unreadable', 'refused', 'loading', 'light', 'custom'].map((state) => ({ name: `${state}-1200`, state, width: 1200 })),
];

await mkdir(out, { recursive: true });
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const axe = await readFile(new URL('node_modules/axe-core/axe.min.js', root), 'utf8');
let faults = 0;
for (const scene of SCENES) {
  for (const theme of THEMES) {
    const name = `${scene.name}-${theme}`;
    if (!name.includes(only)) continue;
    const tab = await browser.newPage({ viewport: { width: scene.width, height: 900 }, reducedMotion: 'reduce' });
    const report = (text) => { faults += 1; console.log(`${name}: ${text}`); };
    tab.on('pageerror', (error) => report(error.message));
    tab.on('console', (message) => { if (message.type() === 'error') report(message.text()); });
    await tab.goto(`${base}?theme=${theme}&state=${scene.state}`);
    await tab.locator('main').waitFor();
    await tab.evaluate(() => document.fonts.ready);
    await tab.waitForTimeout(250);
    await scene.act?.(tab);
    await tab.waitForTimeout(scene.act ? 350 : 50);
    const height = await tab.evaluate(() => document.documentElement.scrollHeight);
    const sheet = await tab.locator('dialog[open]').count();
    if (!sheet) await tab.setViewportSize({ width: scene.width, height: Math.min(Math.max(height, 500), 3000) });
    await tab.screenshot({ path: join(out, `${name}.png`) });
    const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) report(`${wide} px wider than the window`);
    await tab.evaluate(axe.concat('\n0'));
    const found = await tab.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    for (const { id, nodes } of found.violations) report(`axe ${id}: ${nodes.slice(0, 3).map(({ target, any }) => `${target.join(' ')} ${any[0]?.message ?? ''}`).join(' | ')} (${nodes.length})`);
    for (const violation of await tab.evaluate(() => window.violations)) report(`CSP ${violation}`);
    await tab.close();
  }
}
await browser.close();
server.close();
console.log(`${faults} faults; pictures in ${out}`);
process.exitCode = faults > 0 ? 1 : 0;
