/** How it looks: themes, widths, contrast and names for assistive technology; with UPDATE_IMAGES=1 the guide's pictures are made. */

import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Editor, THEMES } from './editor';
import { Panel } from './panel';
import { hasCommandLine, Project } from './project';

const installed = inject('installed');
const reason = 'missing' in installed ? installed.missing : hasCommandLine ? '' : 'no .venv with the command line';
const IMAGES = process.env.UPDATE_IMAGES
  ? fileURLToPath(new URL('../../../docs/images', import.meta.url))
  : mkdtempSync(join(tmpdir(), 'attune-images-'));

describe.skipIf(reason !== '')(`looks ${reason}`, () => {
  const project = new Project();
  let editor: Editor;
  let panel: Panel;

  beforeAll(async () => {
    if ('missing' in installed) return;
    mkdirSync(IMAGES, { recursive: true });
    project.invent(4000, 75);
    editor = await Editor.open(installed, project.folder, { width: 1280, height: 1440, reducedMotion: true });
    panel = await Panel.open(editor);
    await panel.range('30 days');
    // The side bar takes a quarter of the window.
    await editor.command('View: Close Primary Side Bar');
  });

  afterAll(async () => {
    await editor?.close();
    project.remove();
  });

  async function themed(theme: keyof typeof THEMES): Promise<void> {
    editor.set({ 'workbench.colorTheme': THEMES[theme] });
    await panel.frame.locator(`body[data-vscode-theme-id="${THEMES[theme]}"]`).waitFor({ state: 'attached' });
    await panel.settled();
  }

  async function picture(name: string): Promise<void> {
    await panel.frame.locator('html').evaluate((html) => {
      for (const element of [html, ...html.querySelectorAll('*')]) element.scrollTop = 0;
    });
    await editor.page.screenshot({ path: join(IMAGES, `panel-${name}.png`), animations: 'disabled' });
  }

  /** What axe finds in the document of the panel. */
  async function faults(): Promise<string[]> {
    const frame = await (await panel.frame.locator('html').elementHandle())?.ownerFrame();
    if (!frame) throw new Error('the panel has no document');
    await frame.evaluate(axe.source);
    return frame.evaluate(async () => {
      const { axe: tool } = window as unknown as { axe: typeof axe };
      const { violations } = await tool.run(document, { resultTypes: ['violations'] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html.slice(0, 120)} ${node.failureSummary ?? ''}`).join(' | ')}`);
    });
  }

  /** Elements that stick out to the right of the page, or texts that are cut without a way to read them. */
  async function overflow(): Promise<number> {
    return panel.frame.locator('html').evaluate((html) => html.scrollWidth - html.clientWidth);
  }

  describe.each(Object.keys(THEMES) as (keyof typeof THEMES)[])('%s', (theme) => {
    test('axe has nothing to say of the overview', async () => {
      await themed(theme);
      expect(await faults()).toEqual([]);
      await picture(theme);
    });

    test('nor of a call', async () => {
      // One of a run with several stages.
      await panel.feed.getByRole('row').filter({ hasText: 'code-review' }).first().click();
      await panel.frame.getByRole('dialog').getByText('All fields').waitFor();
      expect(await faults()).toEqual([]);
      await picture(`call-${theme}`);
      await editor.page.keyboard.press('Escape');
    });

    test('nor of the settings', async () => {
      await panel.button('Settings').click();
      await panel.frame.getByRole('dialog').waitFor();
      expect(await faults()).toEqual([]);
      await picture(`settings-${theme}`);
      await editor.page.keyboard.press('Escape');
    });
  });

  test.each([300, 480, 760, 1600])('%i pixels are enough', async (width) => {
    await themed('dark');
    // The activity bar beside the panel has 48.
    await editor.page.setViewportSize({ width: width + 48, height: 1000 });
    await expect.poll(() => panel.frame.locator('html').evaluate((html) => html.clientWidth)).toBeGreaterThan(width - 30);
    await expect.poll(() => overflow()).toBeLessThanOrEqual(0);
    expect(await faults()).toEqual([]);
    await picture(`${width}px`);
  });

  test('no policy of the page was offended', () => {
    expect(editor.violations).toEqual([]);
  });
});
