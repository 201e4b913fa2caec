/** Notices when the files of records change, as VS Code's own watcher does. */

import * as vscode from 'vscode';

import type { Feed } from './feed';

// Segments, and what a watcher of alerts writes.
const FILES = '{*.jsonl,alerts.status.json}';

export function watchFolder(feed: Feed, changed: () => void, failed: (error: unknown) => void): vscode.Disposable {
  let watcher: vscode.Disposable | null = null;
  let disposed = false;
  const begin = async (): Promise<void> => {
    const folder = await feed.folder();
    if (disposed || folder === null) return;
    const found = vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(vscode.Uri.file(folder), FILES));
    watcher = vscode.Disposable.from(found, found.onDidChange(changed), found.onDidCreate(changed), found.onDidDelete(changed));
  };
  begin().catch(failed);
  return {
    dispose: () => {
      disposed = true;
      watcher?.dispose();
    },
  };
}
