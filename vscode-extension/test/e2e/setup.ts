/** Before all tests in an editor: the browser, the editor and the packaged extension, or the reason why there are none. */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { browser, editor, Missing } from './install.mjs';

export interface Installed {
  readonly browser: string;
  readonly editor: string;
  /** Folder that holds the extension as the packaged file was installed. */
  readonly extensions: string;
  readonly vsix: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    installed: Installed | { readonly missing: string };
  }
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export default function setup(project: TestProject): (() => void) | undefined {
  try {
    const found = { browser: browser(), editor: editor() };
    const vsix = packaged();
    const extensions = mkdtempSync(join(tmpdir(), 'attune-extensions-'));
    execFileSync(process.execPath, [
      found.editor, '--extensions-dir', extensions, '--user-data-dir', join(extensions, '.data'), '--install-extension', vsix,
    ], { stdio: ['ignore', 'ignore', 'inherit'] });
    project.provide('installed', { ...found, extensions, vsix });
    return () => rmSync(extensions, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    process.stdout.write(`\nThe tests in an editor are skipped: ${error.message}\n\n`);
    project.provide('installed', { missing: error.message });
    return undefined;
  }
}

/** Build and package, unless that was done after the last change. */
function packaged(): string {
  const vsix = join(ROOT, 'dist', 'attune-monitoring.vsix');
  const sources = ['src', 'shared', 'webview', 'media', 'l10n', 'package.json', 'esbuild.mjs', '.vscodeignore', 'README.md'];
  const changed = Math.max(...sources.map((name) => newest(join(ROOT, name))));
  if (!existsSync(vsix) || statSync(vsix).mtimeMs < changed) {
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    execFileSync('npm', ['run', '--silent', 'package'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  }
  // Under a name of its own: another run may package again meanwhile.
  const copy = join(mkdtempSync(join(tmpdir(), 'attune-vsix-')), 'attune-monitoring.vsix');
  cpSync(vsix, copy);
  return copy;
}

function newest(path: string): number {
  if (!existsSync(path)) return 0;
  const stats = statSync(path);
  return stats.isDirectory() ? Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name)))) : stats.mtimeMs;
}
