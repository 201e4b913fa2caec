/** The places that the panel can lead to; there are no others. */

import * as vscode from 'vscode';

import type { OpenLinkQuestion } from '../shared/protocol';

const REPOSITORY = 'https://github.com/attune-monitoring/attune-monitoring';
const EXTENSION = 'attune-monitoring.attune-monitoring';

export async function openLink(link: OpenLinkQuestion['link']): Promise<void> {
  switch (link) {
    case 'documentation':
      return browse(`${REPOSITORY}/tree/main/docs`);
    case 'guide':
      return browse(`${REPOSITORY}/blob/main/docs/guides/TELEMETRY_PANEL_GUIDE.md`);
    case 'report':
      return browse(`${REPOSITORY}/issues`);
    case 'settings':
      await vscode.commands.executeCommand('workbench.action.openSettings', `@ext:${EXTENSION}`);
      return;
    default:
      // A webview is not trusted to ask for a known one.
      link satisfies never;
      throw new Error(vscode.l10n.t('There is no such page.'));
  }
}

export async function openWalkthrough(): Promise<void> {
  await vscode.commands.executeCommand('workbench.action.openWalkthrough', `${EXTENSION}#start`, false);
}

async function browse(address: string): Promise<void> {
  await vscode.env.openExternal(vscode.Uri.parse(address, true));
}
