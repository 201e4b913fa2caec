/** What happens to the files is seen: lines, rotation, damage, archives; and folders that hold nothing or cannot be read. */

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { Editor } from './editor';
import { Panel } from './panel';
import { call, hasCommandLine, Project } from './project';

const installed = inject('installed');
const reason = 'missing' in installed ? installed.missing : '';

describe.skipIf(reason !== '')(`live ${reason}`, () => {
  let project: Project;
  let editor: Editor | undefined;

  beforeEach(() => {
    project = new Project();
  });

  afterEach(async () => {
    expect(editor?.violations ?? []).toEqual([]);
    await editor?.close();
    editor = undefined;
    project.remove();
  });

  async function open(settings: Readonly<Record<string, unknown>> = {}): Promise<Panel> {
    if ('missing' in installed) throw new Error(installed.missing);
    // The next look is a minute away: what is seen before is seen because the folder is watched.
    editor = await Editor.open(installed, project.folder, { settings: { 'attune.telemetry.refreshSeconds': 60, ...settings } });
    return Panel.open(editor);
  }

  test('from nothing, over the first call, to a rotated, damaged, archived folder', async () => {
    const panel = await open();
    await panel.frame.getByText('No calls recorded yet').waitFor();
    expect(await panel.frame.locator('body').textContent()).toContain('pip install attune-monitoring');

    project.append('llm_calls.jsonl', call());
    await panel.shows('calls', '1');
    project.append('llm_calls.jsonl', call(), call({ success: false, error_type: 'Timeout' }));
    await panel.shows('calls', '3');
    await panel.shows('successRate', '66.7%');

    project.append('llm_calls.00001.jsonl', call(), call());
    await panel.shows('calls', '5');

    const line = JSON.stringify(call());
    project.append('llm_calls.00001.jsonl', '{"call_id": 1', 'not a record', '[]');
    writeFileSync(join(project.records, 'llm_calls.00001.jsonl'), line.slice(0, 100), { flag: 'a' });
    await expect.poll(() => panel.frame.getByText(/3 lines/).count()).toBeGreaterThan(0);
    await panel.shows('calls', '5');
    writeFileSync(join(project.records, 'llm_calls.00001.jsonl'), `${line.slice(100)}\n`, { flag: 'a' });
    await panel.shows('calls', '6');

    // Exchanged for another file of the same name.
    writeFileSync(join(project.records, 'new'), `${JSON.stringify(call())}\n`);
    renameSync(join(project.records, 'new'), join(project.records, 'llm_calls.jsonl'));
    await panel.shows('calls', '4');

    // Cut.
    writeFileSync(join(project.records, 'llm_calls.00001.jsonl'), '');
    await panel.shows('calls', '1');
    rmSync(join(project.records, 'llm_calls.jsonl'));
    await panel.frame.getByText('No calls recorded yet').waitFor();
  });

  test.skipIf(!hasCommandLine)('what the command line archives is gone from the panel, and new calls are shown', async () => {
    project.append('llm_calls.jsonl', call(), call());
    const panel = await open();
    await panel.shows('calls', '2');
    project.empathy('telemetry', 'archive', '--yes', '--dir', project.records);
    await panel.frame.getByText('No calls recorded yet').waitFor();
    project.append('llm_calls.jsonl', call());
    await panel.shows('calls', '1');
  });

  test('a folder that cannot be read is told, and retried', async () => {
    rmSync(project.records, { recursive: true, force: true });
    writeFileSync(project.records, 'a file');
    const panel = await open({ 'attune.telemetry.folder': project.records });
    await panel.frame.getByText('The records cannot be read').waitFor();
    rmSync(project.records);
    mkdirSync(project.records);
    project.append('llm_calls.jsonl', call());
    await panel.button('Retry').click();
    await panel.shows('calls', '1');
  });

  test('alerts that fire are shown, and history is called history', async () => {
    project.append('llm_calls.jsonl', call());
    const status = (minutes: number): string => JSON.stringify({
      version: 1, evaluated_at: new Date(Date.now() + minutes * 60_000).toISOString(), stale_after: new Date(Date.now() + (minutes + 3) * 60_000).toISOString(),
      source: 'local', rules: 2, pending: [], silenced: [], errors: [],
      firing: [{
        rule: 'daily cost', severity: 'critical', status: 'firing', reason: 'condition', labels: { workflow: 'review' }, value: 12.5,
        condition: 'daily_cost > 10', since: new Date().toISOString(), started_at: new Date().toISOString(),
      }],
      watcher: { seconds: 0.1, waiting: 0, oldest: null, dead: 0 },
    });
    writeFileSync(join(project.records, 'alerts.status.json'), status(0));
    const panel = await open();
    await panel.frame.getByText('daily_cost > 10').waitFor();
    writeFileSync(join(project.records, 'alerts.status.json'), status(-30));
    await panel.frame.getByText('Alert watcher not running').waitFor();
    expect(await panel.frame.getByText('daily_cost > 10').count()).toBe(0);
  });

  test('a record is shown as it stands in its file, and nothing in it is markup', async () => {
    project.append('llm_calls.jsonl', call({ workflow_name: '<img src=x onerror=alert(1)>', error_message: '<b>bold</b>', success: false }));
    const panel = await open();
    expect((await panel.column(1))[0]).toContain('<img src=x onerror=alert(1)>');
    await panel.rows().first().click();
    await panel.button('Show record').click();
    await editor?.page.locator('.tab.active').filter({ hasText: /json/ }).waitFor();
    expect(readFileSync(join(project.records, 'llm_calls.jsonl'), 'utf8')).toContain('onerror');
  });

  test('settings are changed in the panel and kept by the editor', async () => {
    project.append('llm_calls.jsonl', call());
    const panel = await open();
    await panel.button('Settings').click();
    const sheet = panel.frame.getByRole('dialog');
    await sheet.getByText(/Light mode|Leave out the charts|No charts/).first().click();
    await panel.frame.locator('canvas').first().waitFor({ state: 'detached' });
    await editor?.page.keyboard.press('Escape');
    expect(await panel.card('Cost over time').count()).toBe(0);
    await editor?.reload();
    if (!editor) return;
    const again = await Panel.again(editor);
    await again.shows('calls', '1');
    expect(await again.card('Cost over time').count()).toBe(0);
  });
});
