/** What the palette, the menus and the status bar can do. */

import * as vscode from 'vscode';

import { NEWEST_FIRST, NO_FILTERS } from '../shared/protocol';
import type { Host } from './answers';
import type { Choosing } from './choosing';
import { openLink, openWalkthrough } from './links';
import type { Panels } from './panels';
import type { Problems } from './problems';

export const OPEN = 'attune.telemetry.open';

export interface Parts {
  readonly host: Host;
  readonly panels: Panels;
  readonly choosing: Choosing;
  readonly problems: Problems;
}

/** Every command of package.json; one that fails says so, once. */
export function registerCommands(parts: Parts): vscode.Disposable[] {
  return Object.entries(commands(parts)).map(([name, run]) =>
    vscode.commands.registerCommand(name, async () => {
      try {
        await run();
      } catch (error) {
        parts.problems.say(vscode.l10n.t('LLM Telemetry'), error);
      }
    }));
}

function commands({ host, panels, choosing, problems }: Parts): Record<string, () => unknown> {
  const settings = host.settings;
  return {
    [OPEN]: () => panels.openView(),
    'attune.telemetry.openInEditor': () => panels.openTab(),
    'attune.telemetry.refresh': () => host.feed.refresh(),
    'attune.telemetry.exportCsv': async () => {
      const { view } = host.memory;
      const done = await host.exportCsv(await host.feed.dataset(), view, NEWEST_FIRST, settings().includeTests);
      if (done) said(vscode.l10n.t('{0} calls were written to {1}', done.rows.toLocaleString(vscode.env.language), done.path));
    },
    'attune.telemetry.clearHistory': async () => {
      const done = await host.clear(settings().retentionDays);
      if (done) said(vscode.l10n.t('The history was moved to {0}', done.path));
    },
    'attune.telemetry.showFailing': () =>
      panels.show({ view: { filters: { ...NO_FILTERS, outcomes: ['error'] } }, page: 'overview' }),
    'attune.telemetry.showToday': () =>
      panels.show({ view: { range: { name: 'today' }, filters: NO_FILTERS }, page: 'overview' }),
    'attune.telemetry.chooseFolder': () => choosing.ask(),
    'attune.telemetry.openSettings': () => openLink('settings'),
    'attune.telemetry.openWalkthrough': () => openWalkthrough(),
    'attune.telemetry.openDocumentation': () => openLink('documentation'),
    'attune.telemetry.showLog': () => problems.show(),
  };
}

function said(text: string): void {
  void vscode.window.showInformationMessage(text);
}
