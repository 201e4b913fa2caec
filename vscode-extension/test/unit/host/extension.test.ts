/** The host as a whole: activated in a workspace of real files, with the editor played by a fake. */

import { existsSync, readFileSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type * as vscode from 'vscode';

import type { Answers, Question, ToWebview } from '../../../shared/protocol';
import { NEWEST_FIRST, NO_FILTERS } from '../../../shared/protocol';
import { activate } from '../../../src/extension';
import { FakeFrame, fake, Memento, reset, Uri } from './vscode';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const MANIFEST = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));

let top: string;
let subscriptions: { dispose(): unknown }[];
let state: Memento;

beforeEach(async () => {
  reset();
  top = await realpath(await mkdtemp(path.join(tmpdir(), 'host-')));
  await mkdir(path.join(top, 'ws/.git'), { recursive: true });
  // As it is installed; what was built last is of no matter here.
  await mkdir(path.join(top, 'extension/dist'), { recursive: true });
  await writeFile(path.join(top, 'extension/dist/first.js'), 'greet()');
  await writeFile(path.join(top, 'extension/dist/webview.js'), 'run()');
  await writeFile(path.join(top, 'extension/dist/webview.css'), 'main {}');
  fake.folders = [{ name: 'ws', uri: Uri.file(path.join(top, 'ws')) }];
  subscriptions = [];
  state = new Memento();
});
afterEach(async () => {
  for (const one of subscriptions.reverse()) one.dispose();
  // What was parsed is still being kept when a test is over.
  await rm(top, { recursive: true, maxRetries: 20, retryDelay: 50 });
});

function start(): void {
  activate({
    subscriptions, workspaceState: state, extensionUri: Uri.file(path.join(top, 'extension')), storageUri: Uri.file(path.join(top, 'storage')),
    globalStorageUri: Uri.file(path.join(top, 'global')),
  } as unknown as vscode.ExtensionContext);
}

/** Waits for what is done meanwhile; how long that takes is not what is tested. */
const soon = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, 20_000);

const RECORDS = (): string => path.join(top, 'ws/.empathy/llm_calls.jsonl');

function line(number: number, more: Record<string, unknown> = {}): string {
  const when = new Date(Date.now() - number * 1000).toISOString();
  return `${JSON.stringify({
    call_id: `c${number}`, timestamp: when, workflow_name: 'review', provider: 'openai', tier: 'cheap', model_id: 'gpt-5-mini',
    input_tokens: 10, output_tokens: 5, estimated_cost: 0.25, latency_ms: 100, success: true, metadata: {}, ...more,
  })}\n`;
}

async function recorded(...lines: string[]): Promise<void> {
  await mkdir(path.dirname(RECORDS()), { recursive: true });
  await writeFile(RECORDS(), lines.join(''));
}

/** A webview whose page asks, as ours does. */
function pageOf(frame: FakeFrame) {
  let last = 0;
  return async <Q extends Question>(question: Q): Promise<Answers[Q['type']]> => {
    const id = ++last;
    frame.received.fire({ kind: 'asked', id, question });
    const message = await soon(() => {
      const found = (frame.posted as ToWebview[]).find((one) => one.kind !== 'told' && one.id === id);
      expect(found).toBeDefined();
      return found;
    });
    if (message?.kind !== 'answered') throw new Error(message?.kind === 'refused' ? message.problem : 'nothing');
    return message.answer as Answers[Q['type']];
  };
}

const told = (frame: FakeFrame): unknown[] => (frame.posted as ToWebview[]).flatMap((one) => (one.kind === 'told' ? [one.told] : []));

async function openView(): Promise<FakeFrame> {
  const frame = new FakeFrame();
  await fake.views.get('attune.telemetry.view')?.resolveWebviewView(frame);
  return frame;
}

const run = (name: string): Promise<unknown> => Promise.resolve(fake.commands.get(`attune.telemetry.${name}`)?.());
const HELLO = { type: 'hello', looking: null, rows: { sort: NEWEST_FIRST, offset: 0, limit: 20 } } as const;
const VIEW = { range: { name: 'all' }, filters: NO_FILTERS } as const;

describe('the manifest', () => {
  test('names the commands that there are, and no others', () => {
    start();
    const named = MANIFEST.contributes.commands.map((one: { command: string }) => one.command);
    expect([...fake.commands.keys()].sort()).toEqual([...named].sort());
  });

  test('has a text for each of its placeholders, and no others', () => {
    const texts = JSON.parse(readFileSync(path.join(ROOT, 'package.nls.json'), 'utf8'));
    const used = new Set([...JSON.stringify(MANIFEST).matchAll(/%([\w.]+)%/g)].map((one) => one[1]));
    expect([...used].sort()).toEqual(Object.keys(texts).sort());
  });

  test('names the view and the tab that are registered', () => {
    start();
    const views = Object.values<{ id: string }[]>(MANIFEST.contributes.views).flat().map((one) => one.id);
    expect([...fake.views.keys()]).toEqual(views);
    expect([...fake.serializers.keys()].map((one) => `onWebviewPanel:${one}`)).toEqual(
      MANIFEST.activationEvents.filter((one: string) => one.startsWith('onWebviewPanel')),
    );
  });

  test('menus and walkthrough name commands and files that there are', () => {
    const commands = new Set(MANIFEST.contributes.commands.map((one: { command: string }) => one.command));
    for (const item of Object.values<{ command: string }[]>(MANIFEST.contributes.menus).flat()) expect(commands).toContain(item.command);
    const texts = readFileSync(path.join(ROOT, 'package.nls.json'), 'utf8');
    for (const [, command] of texts.matchAll(/\(command:([\w.]+)\)/g)) expect(commands).toContain(command);
    for (const [, file] of JSON.stringify(MANIFEST).matchAll(/"(media\/[\w./-]+)"/g)) expect(existsSync(path.join(ROOT, file ?? ''))).toBe(true);
  });

  test('has the settings with the defaults and choices of the panel', async () => {
    start();
    const { settings } = await pageOf(await openView())(HELLO);
    const declared = Object.fromEntries(Object.entries<{ default: unknown }>(MANIFEST.contributes.configuration.properties)
      .map(([name, one]) => [name.replace('attune.telemetry.', ''), one.default]));
    const { light, ...others } = settings;
    expect({ ...others, lightMode: light, statusBar: true }).toEqual(declared);
  });
});

test('starting reads nothing', async () => {
  await recorded(line(1));
  start();
  expect(fake.watchers).toEqual([]);
  expect(existsSync(path.join(top, 'storage'))).toBe(false);
  expect(fake.statusItems.map((one) => one.shown)).toEqual([false]);
});

test("after a while the status bar has today's cost, with what is not known", async () => {
  await recorded(line(0), line(0, { call_id: 'x', estimated_cost: undefined, metadata: { attune: { cost_source: 'unknown', unknown: ['estimated_cost'] } } }));
  start();
  await soon(() => expect(fake.statusItems[0]?.shown).toBe(true));
  expect(fake.statusItems[0]?.text).toBe('$(graph-line) $0.25');
  expect(fake.statusItems[0]?.tooltip).toBe('LLM calls today: 2 for $0.25\n1 more of unknown cost\nws/.empathy');
  expect(fake.run).toContainEqual(['setContext', 'attune.telemetry.hasFolder', true]);
});

test('where there is no folder the status bar stays empty', async () => {
  start();
  await soon(() => expect(fake.run).toContainEqual(['setContext', 'attune.telemetry.hasFolder', false]));
  expect(fake.statusItems[0]?.shown).toBe(false);
});

describe('the panel', () => {
  test('has the figures of the folder, and hears of a new call', async () => {
    await recorded(line(1), line(2));
    start();
    const frame = await openView();
    const ask = pageOf(frame);
    await ask(HELLO);
    const before = await ask({ type: 'overview', view: VIEW, slice: null, rows: null });
    expect(before).toMatchObject({ totals: { calls: 2, cost: 0.5 }, source: { label: 'ws/.empathy', state: 'ready' } });
    await appendFile(RECORDS(), line(0));
    await soon(() => expect(fake.watchers).toHaveLength(1));
    expect(fake.watchers[0]?.glob).toBe(`${top}/ws/.empathy/{*.jsonl,alerts.status.json}`);
    fake.watchers[0]?.changed.fire(undefined);
    await soon(() => expect(told(frame)).toContainEqual({ type: 'changed', revision: before.revision + 1 }));
    expect((await ask({ type: 'overview', view: VIEW, slice: null, rows: null })).totals.calls).toBe(3);
  });

  test('may load from dist and from nowhere else', async () => {
    start();
    const { options } = (await openView()).webview;
    expect(options.localResourceRoots?.map(String)).toEqual([`file://${path.join(top, 'extension/dist')}`]);
  });

  test('is told nothing while it is hidden, and is one again when it is seen', async () => {
    await recorded(line(1));
    start();
    const frame = await openView();
    await pageOf(frame)(HELLO);
    frame.turn(false);
    frame.posted.length = 0;
    await run('showFailing');
    expect(frame.posted).toEqual([]);
    frame.turn(true);
    await pageOf(frame)(HELLO);
    await soon(() => expect(told(frame)).toEqual([
      { type: 'show', view: { filters: { ...NO_FILTERS, outcomes: ['error'] } }, page: 'overview' },
    ]));
  });

  test('shows what a command asks for as soon as its page is there', async () => {
    start();
    await run('showToday');
    expect(fake.run).toContainEqual(['attune.telemetry.view.focus']);
    const frame = await openView();
    await pageOf(frame)(HELLO);
    await soon(() => expect(told(frame)).toEqual([
      { type: 'show', view: { range: { name: 'today' }, filters: NO_FILTERS }, page: 'overview' },
    ]));
  });

  test('is one tab, however often it is opened, and another after it was closed', async () => {
    start();
    await run('openInEditor');
    await run('openInEditor');
    expect(fake.panels.map((one) => one.revealed)).toEqual([1]);
    fake.panels[0]?.dispose();
    await run('openInEditor');
    expect(fake.panels).toHaveLength(2);
  });

  test('comes back as a tab after a restart', async () => {
    start();
    const frame = new FakeFrame();
    await fake.serializers.get('attune.telemetry.panel')?.deserializeWebviewPanel(frame);
    expect(frame.webview.html).toContain('data-place="editor"');
    await run('openInEditor');
    expect([frame.revealed, fake.panels.length]).toEqual([1, 0]);
  });

  test('that is closed leaves nothing behind', async () => {
    fake.settings.user = { statusBar: false };
    start();
    const frame = await openView();
    await soon(() => expect(fake.watchers).toHaveLength(1));
    frame.dispose();
    expect(fake.watchers.map((one) => one.disposed)).toEqual([true]);
    frame.received.fire({ kind: 'asked', id: 9, question: HELLO });
    await Promise.resolve();
    expect(frame.posted).toEqual([]);
  });

  test('hears of settings that were changed elsewhere', async () => {
    start();
    const frame = await openView();
    await pageOf(frame)(HELLO);
    await pageOf(frame)({ type: 'saveSettings', settings: { light: true } });
    expect(told(frame)).toMatchObject([{ type: 'settings', settings: { light: true } }]);
  });
});

describe('a record', () => {
  test('is shown as it is, without what is secret', async () => {
    await recorded(line(1, { error_message: 'refused', metadata: { api_key: 'hunter2' } }));
    start();
    const ask = pageOf(await openView());
    const { rows } = await ask({ type: 'page', view: VIEW, sort: NEWEST_FIRST, offset: 0, limit: 20 });
    await ask({ type: 'openRecord', key: rows[0]?.key ?? expect.unreachable() });
    const shown = fake.opened[0]?.file ?? '';
    expect(shown).toBe('/llm_calls.jsonl@0.jsonc');
    const uri = Uri.from({ scheme: 'attune-record', path: shown, query: path.join(top, 'ws/.empathy') });
    const text = await fake.contents.get('attune-record')?.provideTextDocumentContent(uri);
    expect(text).toContain('"api_key": "***"');
    expect(text).toContain('// 1 texts hold what looks like a secret; it is shown as ***.');
    expect(text).not.toContain('hunter2');
  });

  test('of another folder, or that is gone, is said to be so', async () => {
    await recorded(line(1));
    start();
    const provider = fake.contents.get('attune-record');
    const text = (query: string, at: string): Promise<string> | undefined =>
      provider?.provideTextDocumentContent(Uri.from({ scheme: 'attune-record', path: at, query }));
    expect(await text('/other', '/llm_calls.jsonl@0.jsonc')).toMatch(/^\/\/ The records of another folder/);
    expect(await text(path.join(top, 'ws/.empathy'), '/llm_calls.00009.jsonl@5.jsonc')).toMatch(/^\/\/ This record is not there any more/);
    expect(await text('', '/odd')).toBe('');
  });
});

describe('commands', () => {
  test('export what the panel showed last', async () => {
    await recorded(line(1, { workflow_name: '=1+1' }), line(2));
    start();
    const ask = pageOf(await openView());
    await ask({ type: 'overview', view: VIEW, slice: null, rows: null });
    fake.saveAs = Uri.file(path.join(top, 'out.csv'));
    await run('exportCsv');
    const [, first, second] = (await readFile(path.join(top, 'out.csv'), 'utf8')).split('\r\n');
    expect([first, second]).toEqual([expect.stringContaining("Z,'=1+1,"), expect.stringContaining('Z,review,')]);
    expect(fake.said.at(-1)?.text).toBe(`2 calls were written to ${path.join(top, 'out.csv')}`);
  });

  test('export nothing where the dialog is closed, or the place is no disk of this machine', async () => {
    start();
    await run('exportCsv');
    expect(fake.said).toEqual([]);
    fake.saveAs = Uri.parse('memfs:/out.csv');
    await run('exportCsv');
    expect(fake.said.map((one) => one.text)).toEqual(['LLM Telemetry: memfs:/out.csv is not on the disk of this machine']);
  });

  test('say the same problem once, and log it each time', async () => {
    start();
    await run('clearHistory');
    await run('clearHistory');
    expect(fake.said.map((one) => one.text)).toEqual(['LLM Telemetry: There is no folder of records.']);
    expect(fake.logged.filter((one) => one.startsWith('error'))).toHaveLength(2);
    fake.press = 'Show Log';
    fake.saveAs = Uri.parse('memfs:/x');
    await run('exportCsv');
    await soon(() => expect(fake.logged).toContain('shown'));
  });

  test('lead to pages that are always the same', async () => {
    start();
    await run('openDocumentation');
    await run('openSettings');
    await run('openWalkthrough');
    const ask = pageOf(await openView());
    await ask({ type: 'openLink', link: 'guide' });
    await ask({ type: 'openLink', link: 'report' });
    await expect(ask({ type: 'openLink', link: 'https://evil.example' as 'guide' })).rejects.toThrow('There is no such page.');
    expect(fake.browsed.every((one) => one.startsWith('https://github.com/attune-monitoring/attune-monitoring/'))).toBe(true);
    expect(fake.browsed).toHaveLength(3);
    expect(fake.run.filter(([name]) => name !== 'setContext')).toEqual([
      ['workbench.action.openSettings', '@ext:attune-monitoring.attune-monitoring'],
      ['workbench.action.openWalkthrough', 'attune-monitoring.attune-monitoring#start', false],
    ]);
  });

  test('look at the files, and open the log', async () => {
    await recorded(line(1));
    start();
    await run('refresh');
    await run('showLog');
    await run('open');
    expect(fake.logged).toEqual(['shown']);
    expect(fake.run).toContainEqual(['attune.telemetry.view.focus']);
  });
});

describe('another folder', () => {
  beforeEach(async () => {
    await recorded(line(1));
    await mkdir(path.join(top, 'other/.empathy'), { recursive: true });
    await writeFile(path.join(top, 'other/.empathy/llm_calls.jsonl'), line(1) + line(2) + line(3));
  });
  const label = async (ask: ReturnType<typeof pageOf>): Promise<string> =>
    (await ask({ type: 'overview', view: VIEW, slice: null, rows: null })).source.path.replace(top, '');

  test('is any that is chosen, by the project that it is in, and is remembered', async () => {
    start();
    const ask = pageOf(await openView());
    expect(await label(ask)).toBe('/ws/.empathy');
    fake.openFolder = Uri.file(path.join(top, 'other'));
    expect(await ask({ type: 'chooseFolder', path: null })).toMatchObject({ path: path.join(top, 'other/.empathy'), state: 'ready' });
    expect((await ask({ type: 'overview', view: VIEW, slice: null, rows: null })).totals.calls).toBe(3);
    expect([...state.kept.values()]).toContain(path.join(top, 'other/.empathy'));
  });

  test('is not one that the page made up, nor any without a choice', async () => {
    start();
    const ask = pageOf(await openView());
    await expect(ask({ type: 'chooseFolder', path: '/etc' })).rejects.toThrow('/etc is no folder of records of this workspace.');
    expect(await ask({ type: 'chooseFolder', path: null })).toBeNull();
    expect(await label(ask)).toBe('/ws/.empathy');
  });

  test('is found when the setting names it, whatever was chosen before', async () => {
    await state.update('folder.chosen', path.join(top, 'ws/.empathy'));
    start();
    const frame = await openView();
    const ask = pageOf(frame);
    await ask(HELLO);
    expect(await label(ask)).toBe('/ws/.empathy');
    await ask({ type: 'saveSettings', settings: { folder: path.join(top, 'other/.empathy') } });
    await soon(async () => expect(await label(ask)).toBe('/other/.empathy'));
    expect(told(frame).some((one) => (one as { type: string }).type === 'changed')).toBe(true);
  });

  test('is offered by the command, and given back to be found', async () => {
    await state.update('folder.chosen', path.join(top, 'other/.empathy'));
    start();
    const ask = pageOf(await openView());
    expect(await label(ask)).toBe('/other/.empathy');
    const offered: string[] = [];
    fake.pick = (items) => {
      offered.push(...items.map((one) => one.label));
      return items.at(-1);
    };
    await run('chooseFolder');
    expect(offered.slice(1)).toEqual(['ws/.empathy', 'Another Folder…', 'Find It Automatically']);
    expect(await label(ask)).toBe('/ws/.empathy');
  });

  test('comes with another workspace folder', async () => {
    fake.folders = [];
    start();
    const ask = pageOf(await openView());
    expect((await ask({ type: 'overview', view: VIEW, slice: null, rows: null })).source).toMatchObject({ path: '', state: 'missing' });
    fake.folders = [{ name: 'other', uri: Uri.file(path.join(top, 'other')) }];
    fake.foldersChanged.fire(undefined);
    await soon(async () => expect(await label(ask)).toBe('/other/.empathy'));
  });
});
