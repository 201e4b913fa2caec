/** Opens the code of a record: where it says, where that has moved to, or where its workflow is defined. */

import { stat } from 'node:fs/promises';
import path from 'node:path';

import * as vscode from 'vscode';

import type { Answers, Detail } from '../shared/protocol';
import { besideThePanel } from './panels';
import type { Place } from './python';
import { findWorkflow, isRemotePath, isSurer, likeliest, partsOf, SUREST } from './python';

type Opened = Answers['openCode']['opened'];

const NOT_THE_USERS =
  '**/{node_modules,.git,.venv,venv,.tox,.nox,site-packages,__pycache__,build,dist,.empathy,.eggs}/**';
const MOST_FILES = 4_000;
const MOST_SAME_NAMES = 200;
const LONGEST_FILE = 1_000_000;
const AT_ONCE = 16;

export async function openCode({ code, row }: Detail): Promise<Opened> {
  if (code && (await openRecorded(code.file, code.line, row.workflow))) return 'recorded';
  const found = await search(row.workflow);
  if (found) {
    await show(found.uri, found.place.line);
    return 'searched';
  }
  return code && (await openOutside(code.file, code.line)) ? 'recorded' : 'nowhere';
}

/** A file of the workspace: the very one, else the one whose path ends most like it. */
async function openRecorded(file: string, line: number, workflow: string): Promise<boolean> {
  const uri = (await inWorkspace(file)) ?? (await moved(file, workflow));
  if (!uri) return false;
  await show(uri, line - 1);
  return true;
}

async function inWorkspace(file: string): Promise<vscode.Uri | null> {
  if (isRemotePath(file) || !path.isAbsolute(file)) return null;
  const uri = vscode.Uri.file(path.normalize(file));
  return vscode.workspace.getWorkspaceFolder(uri) && (await isFile(uri)) ? uri : null;
}

async function moved(file: string, workflow: string): Promise<vscode.Uri | null> {
  const name = partsOf(file).at(-1);
  // The name goes into a glob pattern: what means something there is not searched for.
  if (!name || /[*?[\]{},!]/.test(name)) return null;
  const uris = await vscode.workspace.findFiles(`**/${name}`, NOT_THE_USERS, MOST_SAME_NAMES);
  const best = likeliest(file, uris.map((uri) => [uri, uri.path] as const));
  if (!best) return null;
  // The same name alone may be chance (utils.py), unless the workflow is in it.
  const sure = best.common > 1 || (await findIn(best.file, workflow)) !== null;
  return sure ? best.file : null;
}

/** Outside of the workspace only what the user agrees to, having seen its path. */
async function openOutside(file: string, line: number): Promise<boolean> {
  if (isRemotePath(file) || !path.isAbsolute(file)) return false;
  const uri = vscode.Uri.file(path.normalize(file));
  if (!(await isFile(uri))) return false;
  const open = vscode.l10n.t('Open');
  const chosen = await vscode.window.showWarningMessage(
    vscode.l10n.t('The code of this call is outside of the workspace. Open it?'), { modal: true, detail: uri.fsPath }, open,
  );
  if (chosen === open) await show(uri, line - 1);
  return true;
}

/** The workspace's Python files are searched for where the workflow is defined. */
async function search(workflow: string): Promise<{ uri: vscode.Uri; place: Place } | null> {
  if (!workflow) return null;
  return vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Searching for the workflow "{0}"', workflow.slice(0, 80)) },
    async () => {
      const uris = await vscode.workspace.findFiles('**/*.py', NOT_THE_USERS, MOST_FILES);
      let best: { uri: vscode.Uri; place: Place } | null = null;
      for (let from = 0; from < uris.length && best?.place.kind !== SUREST; from += AT_ONCE) {
        const portion = uris.slice(from, from + AT_ONCE);
        const places = await Promise.all(portion.map((uri) => findIn(uri, workflow)));
        for (const [index, uri] of portion.entries()) {
          const place = places[index];
          if (place && (!best || isSurer(place.kind, best.place.kind))) best = { uri, place };
        }
      }
      return best;
    },
  );
}

async function findIn(uri: vscode.Uri, workflow: string): Promise<Place | null> {
  try {
    const found = await stat(uri.fsPath);
    if (found.size > LONGEST_FILE) return null;
    const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
    return findWorkflow(text, workflow);
  } catch {
    return null; // gone, or not readable: it is not there to be opened either
  }
}

async function isFile(uri: vscode.Uri): Promise<boolean> {
  return stat(uri.fsPath).then((found) => found.isFile(), () => false);
}

async function show(uri: vscode.Uri, line: number): Promise<void> {
  const document = await vscode.workspace.openTextDocument(uri);
  const { range } = document.lineAt(Math.min(Math.max(line, 0), document.lineCount - 1));
  const editor = await vscode.window.showTextDocument(document, { selection: range, preview: true, viewColumn: besideThePanel() });
  editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}
