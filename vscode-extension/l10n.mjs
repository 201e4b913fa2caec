// Writes l10n/bundle.l10n.json: every text of host and webview that can be translated.  --check: only say what is out of date
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const BUNDLE = 'l10n/bundle.l10n.json';

/** The texts of one file: first arguments of `l10n.t(…)` in the host and of `t(…)` in the webview. */
function textsOf(file) {
  const found = [];
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const visit = (node) => {
    if (ts.isCallExpression(node) && /^(?:vscode\.l10n\.)?t$/.test(node.expression.getText())) collect(node.arguments[0]);
    ts.forEachChild(node, visit);
  };
  // `t(many ? '…' : '…')` has two.
  const collect = (argument) => {
    if (!argument) return;
    if (ts.isStringLiteralLike(argument)) found.push(argument.text);
    else if (ts.isConditionalExpression(argument)) [argument.whenTrue, argument.whenFalse].forEach(collect);
  };
  visit(source);
  return found;
}

function filesOf(folder) {
  return readdirSync(folder, { recursive: true }).filter((name) => /\.tsx?$/.test(name)).map((name) => path.join(folder, name));
}

export function bundle() {
  const texts = ['src', 'webview'].flatMap(filesOf).flatMap(textsOf);
  return `${JSON.stringify(Object.fromEntries([...new Set(texts)].sort().map((text) => [text, text])), null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) {
  const before = readFileSync(BUNDLE, { encoding: 'utf8', flag: 'a+' });
  const now = bundle();
  if (!process.argv.includes('--check')) writeFileSync(BUNDLE, now);
  else if (before !== now) {
    process.stderr.write(`${BUNDLE} is out of date: run "npm run l10n"\n`);
    process.exitCode = 1;
  }
}
