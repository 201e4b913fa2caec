import { defineConfig } from 'vitest/config';

// Each file has an editor of its own; two at a time would be four processes that want two cores.
export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts'],
    globalSetup: ['test/e2e/setup.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // How long something may take to appear on a busy machine.
    expect: { poll: { timeout: 30_000 } },
  },
});
