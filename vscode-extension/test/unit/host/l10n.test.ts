import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

test('the bundle for translators has every text of host and webview', () => {
  const run = (): string => execFileSync(process.execPath, ['l10n.mjs', '--check'], { cwd: fileURLToPath(new URL('../../..', import.meta.url)), stdio: 'pipe', encoding: 'utf8' });
  expect(run()).toBe('');
}, 60_000);
