/** The list of calls: filters, pages, order, the way to the code, files, and what is kept. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { count } from '../../webview/format';
import { Editor } from './editor';
import { OPEN, Panel } from './panel';
import { call, Project } from './project';

const installed = inject('installed');
const reason = 'missing' in installed ? installed.missing : '';
const CALLS = 137;

describe.skipIf(reason !== '')(`the list of calls ${reason}`, () => {
  const project = new Project();
  let editor: Editor;
  let panel: Panel;

  beforeAll(async () => {
    if ('missing' in installed) return;
    const now = Date.now();
    for (let number = 0; number < CALLS; number += 1) {
      project.append('llm_calls.jsonl', call({
        timestamp: new Date(now - (CALLS - number) * 1000).toISOString(),
        workflow_name: number % 3 === 0 ? 'support' : 'review', provider: number % 2 === 0 ? 'openai' : 'anthropic',
        model_id: `model-${number % 5}`, tier: ['cheap', 'capable', 'premium'][number % 3], estimated_cost: ((number * 7919) % CALLS) / 1000,
        latency_ms: 100 + ((number * 31) % 900), ...(number % 10 === 0 ? { success: false, error_type: 'RateLimitError', error_message: 'slow down' } : {}),
        attune: { run_id: 'run-1', source_file: join(project.folder, 'review.py'), source_line: 7 },
      }));
    }
    project.append('llm_calls.jsonl', call({ workflow_name: '=1+1', provider: '@evil', model_id: '+cmd', step_name: '-x', estimated_cost: 0.5 }));
    project.append('llm_calls.jsonl', call({ workflow_name: 'nightly', provider: 'ollama', model_id: 'qwen', estimated_cost: 0.25 }));
    project.write('nightly.py', '\n\n\n@workflow("nightly")\ndef run_at_night():\n    pass\n');
    project.append('workflow_details.jsonl', {
      run_id: 'run-1', workflow_name: 'review', started_at: new Date(now - CALLS * 1000).toISOString(), completed_at: new Date(now).toISOString(),
      stages: [
        { stage_name: 'analyze', tier: 'cheap', model_id: 'model-1', input_tokens: 10, output_tokens: 5, cost: 1, latency_ms: 60_000, success: true },
        { stage_name: 'write', tier: 'premium', model_id: 'model-2', input_tokens: 10, output_tokens: 5, cost: 2, latency_ms: 70_000, success: true },
      ],
      total_cost: 3, total_duration_ms: CALLS * 1000, success: true,
    });
    // Code opens beside the panel, which keeps the room for all of its columns.
    editor = await Editor.open(installed, project.folder, { width: 2200, height: 1500 });
    panel = await Panel.open(editor);
    await panel.range('7 days');
  });

  // A test that fails leaves nothing to the next one.
  beforeEach(async () => {
    await panel.reset();
  });

  afterAll(async () => {
    await editor?.close();
    project.remove();
  });

  const shown = (text: RegExp): Promise<void> => expect.poll(() => panel.card('Activity').textContent()).toMatch(text);

  test('pages hold twenty calls, newest first, and can be turned', async () => {
    await shown(/1–20 of 139 calls shown/);
    expect(await panel.rows().count()).toBe(20);
    expect((await panel.column(1))[0]).toContain('nightly');
    await panel.button('Next').click();
    await shown(/21–40 of 139/);
    await panel.button('Page 7').click();
    await shown(/121–139 of 139/);
    expect(await panel.rows().count()).toBe(19);
    expect(await panel.button('Next').isDisabled()).toBe(true);
    await panel.button('Previous').click();
    await shown(/101–120 of 139/);
    await panel.button('Page 1').click();
    await shown(/1–20 of 139/);
  });

  test('a heading sorts, and sorts the other way when it is pressed again', async () => {
    const cost = panel.feed.getByRole('columnheader', { name: 'Cost' });
    const values = async (): Promise<number[]> => (await panel.column(5)).map((text) => Number(text.replace(/[^\d.]/g, '')));
    await cost.getByRole('button').click();
    await expect.poll(() => cost.getAttribute('aria-sort')).toBe('descending');
    await expect.poll(async () => (await values())[0]).toBe(0.5);
    const descending = await values();
    expect(descending).toEqual([...descending].sort((one, other) => other - one));
    await cost.getByRole('button').click();
    await expect.poll(() => cost.getAttribute('aria-sort')).toBe('ascending');
    await expect.poll(async () => (await values())[0]).toBe(0);
    const ascending = await values();
    expect(ascending).toEqual([...ascending].sort((one, other) => one - other));
    await panel.feed.getByRole('columnheader', { name: 'Time' }).getByRole('button').click();
    await expect.poll(async () => (await panel.column(1))[0]).toContain('nightly');
  });

  test('filters narrow figures and list, together, and are taken away one by one', async () => {
    await panel.choose('Provider', 'openai');
    await panel.shows('calls', '69');
    await panel.choose('Status', 'failed');
    await panel.shows('calls', '14');
    await shown(/14 calls shown/);
    expect(new Set(await panel.column(2))).toEqual(new Set(['openai']));
    await panel.button('Remove Status: failed').click();
    await panel.shows('calls', '69');
    await panel.clearFilters();
    await panel.shows('calls', '139');
    await panel.choose('Workflow', 'support');
    await panel.choose('Tier', 'cheap');
    await panel.shows('calls', '46');
    await panel.clearFilters();
  });

  test('text is looked for in what names a call', async () => {
    await panel.frame.getByRole('textbox', { name: 'Search in the calls' }).fill('MODEL-3');
    await panel.shows('calls', '27');
    expect(new Set(await panel.column(3))).toEqual(new Set(['model-3']));
    await panel.frame.getByRole('textbox', { name: 'Search in the calls' }).fill('no such thing');
    await panel.frame.getByText('No call matches these filters').waitFor();
    await panel.button('Clear the filters').click();
    await panel.shows('calls', '139');
  });

  test('a line of the charts filters', async () => {
    await panel.card('Cost by provider').getByRole('button', { name: /ollama/ }).click();
    await panel.shows('calls', '1');
    await panel.card('Cost by provider').getByRole('button', { name: /ollama/ }).click();
    await panel.shows('calls', '139');
    await panel.card('Top workflows').getByRole('button', { name: /support/ }).click();
    await panel.shows('calls', '46');
    await panel.clearFilters();
  });

  test('all calls are one list that is drawn where one looks', async () => {
    await panel.card('Activity').getByText('All', { exact: true }).click();
    await shown(/139 calls shown/);
    expect(await panel.rows().count()).toBeLessThan(80);
    await panel.feed.focus();
    await editor.page.keyboard.press('End');
    await expect.poll(async () => (await panel.rows().evaluateAll((rows) => rows.map((row) => Number(row.getAttribute('aria-rowindex'))))).at(-1)).toBe(140);
    await panel.card('Activity').getByText('Pages', { exact: true }).click();
    await shown(/1–20 of 139/);
  });

  test('a call shows its run as bars in time, and leads to the line that it was made on', async () => {
    await panel.choose('Workflow', 'review');
    await panel.rows().first().click();
    const sheet = panel.frame.getByRole('dialog');
    await sheet.getByText('Run: review').waitFor();
    for (const name of ['analyze', 'write']) expect(await sheet.getByRole('region', { name: 'Run' }).textContent()).toContain(name);
    await sheet.getByRole('button', { name: 'Open code' }).click();
    await editor.page.locator('.tab.active', { hasText: 'review.py' }).waitFor();
    await expect.poll(() => editor.page.locator('#status\\.editor\\.selection').textContent()).toContain('Ln 7');
    await back();
    await editor.page.keyboard.press('Escape');
    await panel.clearFilters();
  });

  test('a record without a line leads to where its workflow is decorated', async () => {
    await panel.choose('Workflow', 'nightly');
    await panel.rows().first().getByRole('button', { name: 'nightly' }).click();
    await editor.page.locator('.tab.active', { hasText: 'nightly.py' }).waitFor();
    await expect.poll(() => editor.page.locator('#status\\.editor\\.selection').textContent()).toMatch(/Ln [45]\b/);
    await back();
    await panel.clearFilters();
  });

  test('the keyboard alone reaches a call and comes back', async () => {
    await panel.feed.focus();
    await editor.page.keyboard.press('ArrowDown');
    await editor.page.keyboard.press('ArrowDown');
    const active = await panel.feed.getAttribute('aria-activedescendant');
    expect(await panel.frame.locator(`[id="${active}"]`).getAttribute('aria-rowindex')).toBe('4');
    await editor.page.keyboard.press('Enter');
    await panel.frame.getByRole('dialog').getByText('All fields').waitFor();
    await editor.page.keyboard.press('Escape');
    await panel.frame.getByRole('dialog').waitFor({ state: 'hidden' });
    await expect.poll(() => panel.feed.evaluate((feed) => feed === document.activeElement)).toBe(true);
  });

  test('the export holds what is shown, and no cell is a formula', async () => {
    await panel.button('Export as CSV').click();
    const path = join(project.folder, 'calls.csv');
    const input = editor.page.locator('.quick-input-widget input[type=text]').first();
    // The dialog proposes a name when it has looked at the folder, and would write over what was typed before.
    await expect.poll(() => input.inputValue()).toMatch(/\.csv$/);
    await input.fill(path);
    await expect.poll(() => editor.page.locator('.quick-input-widget').textContent()).not.toContain('No matching');
    await editor.page.keyboard.press('Enter');
    const lines = async (): Promise<string[]> => {
      try {
        return readFileSync(path, 'utf8').trimEnd().split(/\r?\n/);
      } catch {
        return [];
      }
    };
    await expect.poll(async () => (await lines()).length).toBe(140);
    expect((await lines()).filter((line) => line.split(',').some((cell) => /^"?[=+@-][^\d]/.test(cell)))).toEqual([]);
    expect((await lines()).join('\n')).toContain("'=1+1");
  });

  test('period, filters and settings are there again after the editor was closed', async () => {
    await panel.range('30 days');
    await panel.choose('Provider', 'anthropic');
    await panel.shows('calls', '68');
    await editor.reload();
    // The tab comes back by itself.
    panel = await Panel.again(editor);
    await panel.shows('calls', '68');
    await panel.clearFilters();
  });

  test('clearing asks first, and moves the records into the archive', async () => {
    await panel.button('Clear history').click();
    const dialog = editor.page.locator('.monaco-dialog-box');
    await dialog.waitFor();
    expect(await dialog.textContent()).toContain(count(139));
    await editor.page.keyboard.press('Escape');
    await panel.shows('calls', '139');
    await panel.button('Clear history').click();
    await dialog.waitFor();
    await dialog.getByRole('button').filter({ hasNotText: /cancel/i }).first().click();
    await panel.frame.getByText('No calls recorded yet').waitFor();
  });

  async function back(): Promise<void> {
    await editor.command(OPEN);
    await panel.frame.getByRole('heading', { level: 1 }).waitFor();
  }
});
