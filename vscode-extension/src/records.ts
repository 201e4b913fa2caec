/** One record as a read-only document: its line as it stands in the file, indented, without secrets. */

import * as vscode from 'vscode';

import type { RecordKey } from '../shared/protocol';
import type { Feed } from './feed';
import { besideThePanel } from './panels';
import { MASK, redact, redactValue } from './redaction';

export const SCHEME = 'attune-record';

export class Records implements vscode.TextDocumentContentProvider {
  constructor(private readonly feed: Feed) {}

  async open(key: RecordKey): Promise<void> {
    const folder = (await this.feed.folder()) ?? '';
    // The line is asked for first, so that whoever asked hears when the record is gone.
    await (await this.feed.dataset()).line(key);
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${key.segment}@${key.offset}.jsonc`, query: folder });
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.window.showTextDocument(document, { preview: true, viewColumn: besideThePanel() });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const [, segment, offset] = /^\/(.+)@(\d+)\.jsonc$/.exec(uri.path) ?? [];
    if (!segment || !offset) return '';
    // After a restart another folder may be looked at.
    if (uri.query !== (await this.feed.folder())) return comment(vscode.l10n.t('The records of another folder are shown now.'));
    try {
      return document(await (await this.feed.dataset()).line({ segment, offset: Number(offset) }), segment, Number(offset));
    } catch {
      return comment(vscode.l10n.t('This record is not there any more: it was moved to the archive.'));
    }
  }
}

function document(line: string, segment: string, offset: number): string {
  const title = comment(vscode.l10n.t('{0}, from byte {1}; this view cannot be changed.', segment, offset));
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return `${title}${redact(line)}\n`;
  }
  const { value, masked } = redactValue(parsed);
  const note = masked > 0 ? comment(vscode.l10n.t('{0} texts hold what looks like a secret; it is shown as {1}.', masked, MASK)) : '';
  return `${title}${note}${JSON.stringify(value, null, 2)}\n`;
}

function comment(text: string): string {
  return `// ${text}\n`;
}
