import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vitest/config';

// What has a DOM says so in its first line: // @vitest-environment happy-dom
export default defineConfig({
  // The editor's API is there only inside the editor.
  resolve: { alias: { vscode: fileURLToPath(new URL('test/unit/host/vscode.ts', import.meta.url)) } },
  test: {
    include: ['test/unit/**/*.test.{ts,tsx}'],
    pool: 'threads',
    maxWorkers: 2,
    coverage: {
      provider: 'v8',
      include: ['shared/**', 'src/**', 'webview/**'],
      reporter: ['text-summary'],
    },
  },
});
