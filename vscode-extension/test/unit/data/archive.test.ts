/** Archiving keeps to the protocol of the Python store: nothing is lost, overwritten or there twice. */

import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { archive } from '../../../src/data/archive';
import { append } from '../../../src/data/append';

const NOW = Date.UTC(2026, 10, 23, 12, 34, 56);
const NAME = '20261123T123456Z';
const settle = (): Promise<void> => Promise.resolve();

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'archive-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

function read(...names: string[]): string {
  return readFileSync(join(folder, ...names), 'utf8');
}

function archived(): string[] {
  return readdirSync(join(folder, 'archive')).sort();
}

test('all segments are moved as they are, and nothing else', async () => {
  write('llm_calls.jsonl', 'a\n');
  write('llm_calls.w0.00001.jsonl', 'b\n');
  write('workflow_details.jsonl', 'c\n');
  write('alerts.sqlite', 'd');
  const { path, moved, lateLines, problems } = await archive(folder, {}, { now: NOW, settle });
  expect({ path, lateLines, problems }).toEqual({ path: join(folder, 'archive', NAME), lateLines: 0, problems: {} });
  expect(moved).toEqual(['llm_calls.jsonl', 'llm_calls.w0.00001.jsonl', 'workflow_details.jsonl']);
  expect(readdirSync(folder).sort()).toEqual(['alerts.sqlite', 'archive']);
  expect(read('archive', NAME, 'llm_calls.jsonl')).toBe('a\n');
});

test('nothing to move makes no folder', async () => {
  expect(await archive(folder, {}, { now: NOW, settle })).toEqual({ path: null, moved: [], lateLines: 0, problems: {} });
  expect(await archive(join(folder, 'missing'), {}, { now: NOW, settle })).toMatchObject({ path: null });
  expect(readdirSync(folder)).toEqual([]);
});

test('a name that is taken gets the next number', async () => {
  for (const name of [NAME, `.${NAME}-1`]) mkdirSync(join(folder, 'archive', name), { recursive: true });
  write('llm_calls.jsonl', 'a\n');
  const { path } = await archive(folder, {}, { now: NOW, settle });
  expect(path).toBe(join(folder, 'archive', `${NAME}-2`));
});

describe('late lines', () => {
  test('go to the live stream and are cut off behind', async () => {
    write('llm_calls.jsonl', 'one\nunfin');
    const { lateLines } = await archive(folder, {}, {
      now: NOW,
      settle: async () => appendFileSync(join(folder, 'archive', `.${NAME}`, 'llm_calls.jsonl'), 'ished\n \ntwo\nhalf'),
    });
    expect(lateLines).toBe(3);
    expect(read('llm_calls.jsonl')).toBe('unfinished\ntwo\nhalf\n');
    expect(read('archive', NAME, 'llm_calls.jsonl')).toBe('one\n');
    expect(read('.gitignore')).toBe('*\n');
  });

  test('stay where a writer goes on while they are taken', async () => {
    write('llm_calls.jsonl', 'one\n');
    const path = join(folder, 'archive', `.${NAME}`, 'llm_calls.jsonl');
    await archive(folder, {}, {
      now: NOW, settle: async () => appendFileSync(path, 'two\n'),
      progress: (step) => { if (step === 'cut llm_calls.jsonl') appendFileSync(path, 'three\n'); },
    });
    expect(read('llm_calls.jsonl')).toBe('two\n');
    expect(read('archive', NAME, 'llm_calls.jsonl')).toBe('one\ntwo\nthree\n');
  });

  test('that cannot be appended stay, and it is said', async () => {
    write('llm_calls.jsonl', 'one\n');
    const { lateLines, problems } = await archive(folder, {}, {
      now: NOW,
      settle: async () => {
        appendFileSync(join(folder, 'archive', `.${NAME}`, 'llm_calls.jsonl'), 'two\n');
        mkdirSync(join(folder, 'llm_calls.jsonl'));
      },
    });
    expect(lateLines).toBe(0);
    expect(Object.values(problems)).toEqual([expect.stringContaining('late lines were left in it')]);
    expect(read('archive', NAME, 'llm_calls.jsonl')).toBe('one\ntwo\n');
  });
});

describe('with an age', () => {
  const line = (time: string): string => `{"timestamp":"${time}"}\n`;
  const old = (name: string): void => utimesSync(join(folder, name), new Date(NOW - 30 * 86_400_000), new Date(NOW - 30 * 86_400_000));

  test('only segments whose records are all older are moved', async () => {
    write('llm_calls.jsonl', line('2026-11-01T00:00:00Z'));
    write('llm_calls.00001.jsonl', line('2026-11-22T00:00:00Z') + line('2026-11-01T00:00:00Z'));
    write('llm_calls.00002.jsonl', line('2026-11-01T00:00:00Z'));
    write('llm_calls.w1.jsonl', line('2026-11-01T00:00:00Z'));
    write('workflow_runs.jsonl', 'no time\n');
    old('llm_calls.w1.jsonl');
    old('workflow_runs.jsonl');
    const { moved } = await archive(folder, { olderThanDays: 7 }, { now: NOW, settle });
    // The newest segment of the shared ones was written to just now.
    expect(moved).toEqual(['llm_calls.jsonl', 'llm_calls.w1.jsonl', 'workflow_runs.jsonl']);
  });

  test('a run counts by its end', async () => {
    write('workflow_runs.jsonl', '{"started_at":"2026-11-01T00:00:00Z","completed_at":"2026-11-22T00:00:00Z"}\n');
    old('workflow_runs.jsonl');
    expect((await archive(folder, { olderThanDays: 7 }, { now: NOW, settle })).moved).toEqual([]);
    expect((await archive(folder, { olderThanDays: 1 }, { now: NOW, settle })).moved).toEqual(['workflow_runs.jsonl']);
  });
});

describe('a program that is killed', () => {
  test.each(['move workflow_runs.jsonl', 'settle', 'append to llm_calls', 'cut llm_calls.jsonl', 'finish'])('before "%s" loses nothing', async (step) => {
    write('llm_calls.jsonl', 'one\n');
    write('workflow_runs.jsonl', 'run\n');
    const outfile = join(folder, 'main.cjs');
    await build({
      stdin: {
        contents: `
          import { appendFileSync } from 'node:fs';
          import { archive } from '../../../src/data/archive';
          const folder = ${JSON.stringify(folder)};
          void archive(folder, {}, {
            now: ${NOW},
            settle: async () => appendFileSync(folder + '/archive/.${NAME}/llm_calls.jsonl', 'two\\n'),
            progress: (step) => { if (step === ${JSON.stringify(step)}) process.kill(process.pid, 'SIGKILL'); },
          });`,
        resolveDir: __dirname, loader: 'ts',
      },
      bundle: true, platform: 'node', format: 'cjs', outfile, logLevel: 'silent',
    });
    expect(spawnSync(process.execPath, [outfile]).signal).toBe('SIGKILL');
    rmSync(outfile);
    // The next one finishes it, once it is an hour old.
    await archive(folder, {}, { now: NOW + 60_000, settle });
    expect(archived()).toContain(`.${NAME}`);
    await archive(folder, {}, { now: NOW + 3_700_000, settle });
    expect(archived()).toContain(NAME);
    const all = archived().flatMap((name) => readdirSync(join(folder, 'archive', name)).map((file) => read('archive', name, file)));
    const lines = all.join('').split('\n').filter(Boolean);
    const late = step.startsWith('append') || step.startsWith('cut') || step === 'finish';
    expect([...new Set(lines)].sort()).toEqual(late ? ['one', 'run', 'two'] : ['one', 'run']);
    // Killed between appending and cutting, a late line is in both places, and no other ever is.
    expect(lines.filter((line) => line === 'two').length).toBeLessThanOrEqual(step.startsWith('cut') ? 2 : 1);
    expect(lines.filter((line) => line !== 'two')).toHaveLength(2);
  }, 30_000);
});

describe('appending', () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

  test('goes to the next segment with room', async () => {
    write('llm_calls.jsonl', 'full\n');
    write('llm_calls.00002.jsonl', 'full\n');
    write('llm_calls.w7.00009.jsonl', '');
    await append(folder, 'llm_calls', [bytes('new')], 5);
    expect(read('llm_calls.00003.jsonl')).toBe('new\n');
    expect(existsSync(join(folder, 'llm_calls.00001.jsonl'))).toBe(false);
  });

  test('is not swallowed by a line that is half done', async () => {
    write('llm_calls.jsonl', 'half');
    await append(folder, 'llm_calls', [bytes('new')]);
    expect(read('llm_calls.jsonl')).toBe('half\nnew\n');
  });
});
