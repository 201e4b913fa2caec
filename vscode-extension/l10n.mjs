// Writes l10n/bundle.l10n.json: every text of host and webview that can be translated.  --check: only say what is out of date
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const BUNDLE = 'l10n/bundle.l10n.json';

/** First arguments of `vscode.l10n.t(…)`. */
function textsOfHost(file) {
  return textsIn(file, (node) => ts.isCallExpression(node) && node.expression.getText() === 'vscode.l10n.t' ? [node.arguments[0]] : []);
}

/** The webview lists its texts. */
function textsOfWebview() {
  return textsIn('webview/texts.ts', (node) => ts.isVariableDeclaration(node) && node.name.getText() === 'TEXTS' ? node.initializer.expression.elements : []);
}

function textsIn(file, pick) {
  const texts = [];
  const visit = (node) => {
    texts.push(...pick(node).filter((one) => ts.isStringLiteralLike(one)).map((one) => one.text));
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true));
  return texts;
}

export function bundle() {
  const host = readdirSync('src', { recursive: true }).filter((name) => name.endsWith('.ts')).map((name) => path.join('src', name));
  const texts = [...host.flatMap(textsOfHost), ...textsOfWebview()];
  return `${JSON.stringify(Object.fromEntries([...new Set(texts)].sort().map((text) => [text, text])), null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) {
  const now = bundle();
  if (!process.argv.includes('--check')) writeFileSync(BUNDLE, now);
  else if (readFileSync(BUNDLE, 'utf8') !== now) {
    process.stderr.write(`${BUNDLE} is out of date: run "npm run l10n"\n`);
    process.exitCode = 1;
  }
}
