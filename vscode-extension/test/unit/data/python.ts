/** The Python side, where there is one: what it counts and how it archives is what is right. */

import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const REPOSITORY = join(__dirname, '../../../..');

const ENV = { ...process.env, PYTHONPATH: [join(REPOSITORY, 'src'), join(REPOSITORY, 'tests')].join(':') };
const CANDIDATES = [join(REPOSITORY, '.venv/bin/python'), 'python3', 'python'];

function found(): string | null {
  for (const path of CANDIDATES) {
    if (path.includes('/') && !existsSync(path)) continue;
    try {
      execFileSync(path, ['-c', 'import attune_monitoring.cli'], { env: ENV, stdio: 'ignore' });
      return path;
    } catch {
      continue;
    }
  }
  return null;
}

export const PYTHON = found();
/** What a test's name says where it is skipped. */
export const NEEDS_PYTHON = PYTHON ? '' : ' (skipped: no Python that has attune_monitoring)';

export async function python(script: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(PYTHON ?? 'python3', ['-c', script, ...args], { env: { ...ENV, ...env }, maxBuffer: 1 << 28 });
  return stdout;
}
