/** The panel as its users find it: by roles and names, never by how it is built. */

import type { FrameLocator, Locator } from 'playwright-core';
import { expect } from 'vitest';
import type { Editor } from './editor';

export const OPEN = 'LLM Telemetry: Open in Editor Tab';

export class Panel {
  readonly frame: FrameLocator;

  private constructor(private readonly editor: Editor) {
    this.frame = editor.webview();
  }

  /** Open it in a tab, and wait until it shows figures or says why it has none. */
  static async open(editor: Editor): Promise<Panel> {
    await editor.command(OPEN);
    return Panel.again(editor);
  }

  /** The one that is open already, or comes back by itself. */
  static async again(editor: Editor): Promise<Panel> {
    const panel = new Panel(editor);
    await panel.frame.getByRole('heading', { level: 1 }).waitFor();
    await panel.settled();
    return panel;
  }

  /** No answer is waited for. */
  async settled(): Promise<void> {
    await this.frame.locator('body:not(:has(.skeleton)):not(:has(.codicon-modifier-spin))').waitFor({ state: 'attached' });
  }

  async range(name: 'Today' | '7 days' | '30 days' | 'All' | 'Custom'): Promise<void> {
    const button = this.frame.getByRole('group', { name: 'Period' }).or(this.frame.getByRole('radiogroup', { name: 'Period' }))
      .getByText(name, { exact: true });
    await button.click();
    await this.settled();
  }

  figure(name: 'cost' | 'calls' | 'successRate' | 'averageLatency'): Locator {
    return this.frame.locator(`[data-figure=${name}]`);
  }

  /** Wait until a figure is shown; figures come by themselves and later. */
  async shows(name: 'cost' | 'calls' | 'successRate' | 'averageLatency', text: string): Promise<void> {
    await expect.poll(() => this.figure(name).textContent()).toBe(text);
  }

  card(title: string): Locator {
    return this.frame.getByRole('region', { name: title, exact: true });
  }

  /** The table behind a chart. */
  async table(caption: string | RegExp): Promise<string[][]> {
    const table = this.frame.getByRole('table', { name: caption });
    return table.locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent ?? '')));
  }

  get feed(): Locator {
    return this.frame.getByRole('grid', { name: 'Calls' });
  }

  rows(): Locator {
    return this.feed.locator('[role=row]:not([aria-rowindex="1"])');
  }

  /** Texts of a column, by its place from 0. */
  async column(place: number): Promise<string[]> {
    return this.rows().evaluateAll((rows, at) => rows.map((row) => row.querySelectorAll('[role=gridcell]')[at]?.textContent ?? ''), place);
  }

  async choose(menu: 'Workflow' | 'Provider' | 'Tier' | 'Status', ...names: readonly string[]): Promise<void> {
    await this.frame.getByRole('search').getByRole('button', { name: new RegExp(`^${menu}`) }).click();
    for (const name of names) await this.frame.getByRole('menuitemcheckbox', { name, exact: true }).click();
    await this.editor.page.keyboard.press('Escape');
    await this.settled();
  }

  async clearFilters(): Promise<void> {
    await this.frame.getByRole('button', { name: 'Clear all' }).click();
    await this.settled();
  }

  /** Close what is open, and show all calls again. */
  async reset(): Promise<void> {
    await this.feed.or(this.frame.getByRole('heading', { level: 2 })).first().focus();
    await this.editor.page.keyboard.press('Escape');
    if ((await this.button('Clear all').count()) > 0) await this.clearFilters();
  }

  button(name: string): Locator {
    return this.frame.getByRole('button', { name, exact: true });
  }
}
