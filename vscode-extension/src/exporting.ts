/** "Export as CSV": asks where to, and writes what a view shows. */

import path from 'node:path';

import * as vscode from 'vscode';

import type { Answers, Sort, View } from '../shared/protocol';
import { writeCsv } from './csv';
import type { Dataset } from './data';

/** null where the dialog or the writing was cancelled. */
export async function exportCsv(
  dataset: Dataset, view: View, sort: Sort, includeTests: boolean,
): Promise<Answers['export']> {
  const uri = await vscode.window.showSaveDialog({
    title: vscode.l10n.t('Export Calls as CSV'),
    saveLabel: vscode.l10n.t('Export'),
    filters: { CSV: ['csv'] },
    defaultUri: suggested(view),
  });
  if (!uri) return null;
  if (uri.scheme !== 'file') throw new Error(vscode.l10n.t('{0} is not on the disk of this machine', uri.toString(true)));
  const total = (await dataset.page(view, sort, 0, 1, includeTests)).total;
  const rows = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Exporting calls'), cancellable: true },
    (progress, token) => {
      let before = 0;
      const written = (count: number): void => {
        progress.report({ increment: total ? ((count - before) / total) * 100 : 0 });
        before = count;
      };
      return writeCsv(uri.fsPath, dataset.rows(view, sort, includeTests), written, () => token.isCancellationRequested);
    },
  );
  return rows === null ? null : { path: uri.fsPath, rows };
}

function suggested(view: View): vscode.Uri | undefined {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  if (folder?.scheme !== 'file') return undefined;
  const { name, from, to } = view.range;
  const period = name === 'custom' ? `${from ?? ''}-to-${to ?? ''}` : name;
  return vscode.Uri.file(path.join(folder.fsPath, `llm-calls-${period}.csv`));
}
