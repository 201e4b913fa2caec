// How fast the VS Code panel is with a long history: its data path, and what is seen of it in a real editor.
//
//     node benchmarks/panel.mjs [--records 1000000] [--only data|editor] [--keep FOLDER]
//
// Reading is measured as a ratio to reading the same bytes, absolute times beside it. What each figure is stands in README.md;
// exit code 1 means that a bar was missed.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as data from './panel/data.mjs';
import * as editor from './panel/editor.mjs';
import { write } from './panel/records.mjs';

const SIZES = [10_000, 100_000, 1_000_000];

async function* measured(sizes, only, top) {
  if (only !== 'editor') await data.bundled(top);
  for (const size of sizes) {
    const folder = join(top, String(size));
    // A repeated run finds what the one before has appended to.
    rmSync(folder, { recursive: true, force: true });
    write(folder, size, Date.now());
    const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    console.log(`${size} records, ${Math.round(bytes / size)} bytes each`);
    if (only !== 'editor') yield* data.figures(size, folder, top);
    if (only !== 'data' && size === sizes.at(-1)) yield* editor.figures(size, folder, await editor.tools(top));
    if (size !== sizes.at(-1)) rmSync(folder, { recursive: true });
  }
}

async function main() {
  const option = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : null);
  const most = Number(option('--records') ?? SIZES.at(-1));
  const only = option('--only');
  const kept = option('--keep');
  const top = kept ?? mkdtempSync(join(tmpdir(), 'panel-'));
  const sizes = only === 'editor' ? [most] : SIZES.filter((size) => size <= most);
  let missed = 0;
  try {
    for await (const { what, value, bar, unit, beside, skipped } of measured(sizes, only, top)) {
      if (skipped) {
        console.log(`  ${what.padEnd(24)} skipped: ${skipped}`);
        continue;
      }
      const isMissed = !(value <= bar);
      missed += Number(isMissed);
      const wanted = bar === Infinity ? '' : `≤ ${bar}`;
      console.log(`  ${what.padEnd(24)} ${value.toFixed(2).padStart(8)} ${unit.padEnd(7)} ${wanted.padEnd(7)} ${isMissed ? 'MISSED' : '      '} ${beside}`);
    }
  } finally {
    if (!kept) rmSync(top, { recursive: true, force: true });
  }
  process.exitCode = missed ? 1 : 0;
}

await main();
