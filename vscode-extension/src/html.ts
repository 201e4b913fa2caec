/** The page of a webview: all that it needs at once, what it may load beside that, and what it shows before its script runs. */

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import * as vscode from 'vscode';

/** Where the page stands, which decides its background. */
export type Place = 'editor' | 'panel';

/** The one folder that a page may load from. */
export function assets(extension: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(extension, 'dist');
}

/** Scripts and style sheet: part of the page, because each file that it loads is a message to this host and back. */
export interface Parts {
  /** Says hello before the program is read. */
  readonly first: string;
  readonly program: string;
  readonly style: string;
}

export function readParts(extension: vscode.Uri): Parts {
  const read = (name: string): string => readFileSync(vscode.Uri.joinPath(assets(extension), name).fsPath, 'utf8');
  return { first: read('first.js'), program: read('webview.js'), style: read('webview.css') };
}

export function html(webview: vscode.Webview, extension: vscode.Uri, place: Place, { first, program, style }: Parts): string {
  const nonce = randomBytes(18).toString('base64');
  const uri = (name: string): string => webview.asWebviewUri(vscode.Uri.joinPath(assets(extension), name)).toString();
  const source = webview.cspSource;
  const policy = [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    `font-src ${source}`,
    `img-src ${source} data:`,
    `script-src 'nonce-${nonce}'`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="${escaped(vscode.env.language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style nonce="${nonce}">${style.replace(/url\("?\.\/([\w.-]+)[^)]*\)/g, (_, name: string) => `url("${uri(name)}")`)}</style>
<script nonce="${nonce}">${first}</script>
<title>${escaped(vscode.l10n.t('LLM Telemetry'))}</title>
</head>
<body data-place="${place}">
<div id="root">${skeleton()}</div>
<script type="text/plain" id="program" nonce="${nonce}" data-elements="${escaped(uri('elements.js'))}">${program}</script>
</body>
</html>`;
}

/** Cards and a chart in grey, as the script will draw them while it waits for figures. */
function skeleton(): string {
  const card = `<div class="card flex flex-col gap-1">${['h-[18px] w-1/3', 'h-7 w-2/3', 'h-[17px] w-1/2', 'h-[17px] w-1/3']
    .map((size) => `<span class="skeleton ${size}"></span>`).join('')}</div>`;
  return `<div class="page"><div class="content" role="status" aria-label="${escaped(vscode.l10n.t('Reading the records…'))}">
<div class="grid-cards">${card.repeat(4)}</div>
<div class="card flex flex-col gap-3"><span class="skeleton h-6 w-1/3"></span><span class="skeleton w-full h-[200px]"></span></div>
</div></div>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}
