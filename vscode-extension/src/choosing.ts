/** Choosing the folder of records by hand: one of the workspace's, or any other. */

import { readdir } from 'node:fs/promises';
import path from 'node:path';

import * as vscode from 'vscode';

import type { Source } from '../shared/protocol';
import type { Feed } from './feed';
import { isFolder } from './folders';
import type { Memory } from './memory';

export class Choosing {
  constructor(private readonly feed: Feed, private readonly memory: Memory) {}

  /** Look at one of the choices; null asks for any folder, and is answered with null where nothing was chosen. */
  async choose(folder: string | null): Promise<Source | null> {
    const chosen = folder ?? (await browse());
    if (chosen === null) return null;
    if (folder !== null && !(await this.feed.source()).choices.some((one) => one.path === folder)) {
      throw new Error(vscode.l10n.t('{0} is no folder of records of this workspace.', folder.slice(0, 200)));
    }
    return this.take(chosen);
  }

  /** The command: choices, any other folder, and back to finding it without being told. */
  async ask(): Promise<void> {
    const source = await this.feed.source();
    const choices = source.choices.map(async ({ path: folder, label }) => ({
      label, detail: folder, run: () => this.take(folder),
      description: folder === source.path ? vscode.l10n.t('shown now') : (await isFolder(folder)) ? '' : vscode.l10n.t('not there yet'),
    }));
    const picks = [
      ...(await Promise.all(choices)),
      { label: vscode.l10n.t('Another Folder…'), description: '', detail: '', run: () => this.choose(null) },
      { label: vscode.l10n.t('Find It Automatically'), description: '', detail: '', run: () => this.take(null) },
    ];
    const picked = await vscode.window.showQuickPick(picks, { placeHolder: vscode.l10n.t('Folder of records to show') });
    await picked?.run();
  }

  private async take(folder: string | null): Promise<Source> {
    await this.memory.keepChosenFolder(folder);
    await this.feed.relocate();
    await this.feed.dataset();
    return this.feed.source();
  }
}

async function browse(): Promise<string | null> {
  const [uri] = (await vscode.window.showOpenDialog({
    canSelectFolders: true, canSelectFiles: false, canSelectMany: false, title: vscode.l10n.t('Folder of records to show'),
    openLabel: vscode.l10n.t('Show'),
  })) ?? [];
  if (!uri) return null;
  if (uri.scheme !== 'file') throw new Error(vscode.l10n.t('{0} is not on the disk of this machine', uri.toString(true)));
  return recordsIn(uri.fsPath);
}

/** A project's folder stands for the records in it. */
async function recordsIn(folder: string): Promise<string> {
  const below = path.join(folder, '.empathy');
  const names = await readdir(folder).catch(() => []);
  return !names.some((name) => name.endsWith('.jsonl')) && (await isFolder(below)) ? below : folder;
}
