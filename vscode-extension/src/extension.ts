/** Puts the parts together when VS Code has started. Nothing is read until something shows it. */

import { homedir } from 'node:os';

import * as vscode from 'vscode';

import type { Host } from './answers';
import { Choosing } from './choosing';
import { clear, Retention } from './clearing';
import { openCode } from './code';
import { OPEN, registerCommands } from './commands';
import { archive, Dataset, readAlerts } from './data';
import { exportCsv } from './exporting';
import { Feed } from './feed';
import type { Found } from './folders';
import { findFolders, isFolder } from './folders';
import { openLink } from './links';
import { Memory } from './memory';
import { Panels, TAB, VIEW } from './panels';
import { Problems } from './problems';
import { Records, SCHEME } from './records';
import { changes, readSettings, saveSettings, showsStatusBar } from './settings';
import { StatusBar } from './statusBar';
import { everyMidnight, Watching } from './watching';
import { watchFolder } from './watchFolder';

const HAS_FOLDER = 'attune.telemetry.hasFolder';
/** The status bar's first read waits until the editor has opened what it opens. */
const FIRST_READ = 1_500;

export function activate(context: vscode.ExtensionContext): void {
  const problems = new Problems();
  const memory = new Memory(context.workspaceState);
  const feed = new Feed({
    find: () => find(memory),
    make: (folder, storage) => new Dataset({
      folder, storage, workerFile: vscode.Uri.joinPath(context.extensionUri, 'dist', 'worker.js').fsPath,
    }),
    readAlerts,
    storage: vscode.Uri.joinPath(context.storageUri ?? context.globalStorageUri, 'columns').fsPath,
    now: Date.now,
    failed: (what, error) => problems.note(what, error),
  });
  const choosing = new Choosing(feed, memory);
  const records = new Records(feed);
  const host: Host = {
    feed, memory, openCode, openLink, exportCsv, saveSettings,
    settings: readSettings,
    chooseFolder: (path) => choosing.choose(path),
    openRecord: (key) => records.open(key),
    clear: (days) => clear(feed, archive, days),
  };
  const panels = new Panels(context.extensionUri, host, problems);
  const statusBar = new StatusBar(OPEN);
  const retention = new Retention(feed, archive, context.workspaceState, Date.now);
  const failed = (error: unknown): void => problems.say(vscode.l10n.t('The records cannot be read'), error);

  /** What shows the state beside the webviews: menus, status bar, badge. */
  const showState = async (): Promise<void> => {
    const folder = await feed.folder();
    const there = folder !== null && (await isFolder(folder));
    await vscode.commands.executeCommand('setContext', HAS_FOLDER, there);
    const today = there && showsStatusBar() ? (await feed.dataset()).costOf({ name: 'today' }, readSettings().includeTests) : null;
    statusBar.show(today, feed.alerts(), (await feed.source()).label);
    panels.badge(feed.alerts());
  };
  const state = (): void => void showState().catch(failed);
  const watching = new Watching({
    look: () => feed.refresh(),
    watch: (changed) => watchFolder(feed, changed, failed),
    failed,
  });
  const attend = (): void => {
    const attention = panels.visible ? 'open' : showsStatusBar() ? 'glance' : 'closed';
    watching.set({ attention, seconds: readSettings().refreshSeconds, busy: panels.busy });
  };
  const retain = (): void => {
    if (!panels.visible) return;
    retention.run(readSettings().retentionDays)
      .catch((error: unknown) => problems.say(vscode.l10n.t('Old records were not moved'), error));
  };
  const relocate = (): void => void feed.relocate().then(state, failed);

  context.subscriptions.push(
    problems, feed, panels, statusBar, watching, everyMidnight(() => watching.wake()),
    panels.onAttention(attend),
    panels.onAttention(retain),
    feed.onDidRead(state),
    feed.onDidChange(state),
    feed.onDidMove(() => watching.rewatch()),
    vscode.window.registerWebviewViewProvider(VIEW, panels),
    vscode.window.registerWebviewPanelSerializer(TAB, panels),
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, records),
    vscode.workspace.onDidChangeWorkspaceFolders(relocate),
    vscode.workspace.onDidGrantWorkspaceTrust(relocate),
    vscode.workspace.onDidChangeConfiguration((event) => {
      const changed = changes(event);
      if (!changed.any) return;
      attend();
      panels.tell({ type: 'settings', settings: readSettings() });
      if (changed.folder) void memory.keepChosenFolder(null).then(relocate);
      else state();
    }),
    ...registerCommands({ host, panels, choosing, problems }),
  );

  const timer = setTimeout(() => {
    state();
    attend();
  }, FIRST_READ);
  context.subscriptions.push({ dispose: () => clearTimeout(timer) });
}

function find(memory: Memory): Promise<Found> {
  const workspace = (vscode.workspace.workspaceFolders ?? [])
    .filter(({ uri }) => uri.scheme === 'file')
    .map(({ name, uri }) => ({ name, path: uri.fsPath }));
  const wanted = { chosen: memory.chosenFolder, setting: readSettings().folder, trusted: vscode.workspace.isTrusted };
  return findFolders(workspace, wanted, { env: process.env, home: homedir() });
}
