/** Runs a module of this folder in a Node process of its own, in another time zone: a Date's zone is its process'. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

/** Bundles what the text (TypeScript, with imports relative to this folder) says, runs it and parses what it prints. */
export async function inZone(zone: string, text: string): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'zone-'));
  try {
    const outfile = join(folder, 'main.cjs');
    await build({
      stdin: { contents: text, resolveDir: __dirname, loader: 'ts' },
      bundle: true, platform: 'node', format: 'cjs', outfile, logLevel: 'silent',
    });
    const { stdout } = await promisify(execFile)(process.execPath, [outfile], {
      env: { ...process.env, TZ: zone }, maxBuffer: 1 << 26,
    });
    return JSON.parse(stdout) as unknown;
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function written(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}
