import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Detail } from '../../../shared/protocol';
import { openCode } from '../../../src/code';
import { ROW } from './dataset';
import { fake, reset, TabInputWebview, Uri } from './vscode';

let top: string;
beforeEach(async () => {
  reset();
  top = await realpath(await mkdtemp(path.join(tmpdir(), 'code-')));
  fake.folders = [{ name: 'ws', uri: Uri.file(path.join(top, 'ws')) }];
});
afterEach(() => rm(top, { recursive: true }));

async function file(name: string, text = 'a = 1\nb = 2\nc = 3\n'): Promise<string> {
  const full = path.join(top, name);
  await mkdir(path.dirname(full), { recursive: true });
  await writeFile(full, text);
  if (name.startsWith('ws/') && !fake.files.includes(full)) fake.files.push(full);
  return full;
}

function record(code: Detail['code'], workflow = 'review'): Detail {
  return { row: { ...ROW, workflow }, facts: [], steps: [], run: null, code };
}

const opened = (): string[] => fake.opened.map((one) => `${path.relative(top, one.file)}:${one.line}`);

describe('the place that a record names', () => {
  test('is opened where it is, at its line', async () => {
    const code = { file: await file('ws/app/a.py'), line: 2 };
    expect([await openCode(record(code)), opened()]).toEqual(['recorded', ['ws/app/a.py:1']]);
  });

  test.each([[99, 3], [0, 0], [-5, 0]])('is in the file, whatever its line: %i', async (line, shown) => {
    await openCode(record({ file: await file('ws/app/a.py'), line }));
    expect(opened()).toEqual([`ws/app/a.py:${shown}`]);
  });

  test.each(['C:\\Users\\me\\proj\\app\\a.py', '/elsewhere/proj/app/a.py', 'app/a.py'])(
    'of another machine is the file whose path ends like it: %s', async (name) => {
      await file('ws/app/a.py');
      await file('ws/lib/a.py');
      expect([await openCode(record({ file: name, line: 1 })), opened()]).toEqual(['recorded', ['ws/app/a.py:0']]);
    },
  );

  test('is not a file that only has the same name, unless the workflow is in it', async () => {
    await file('ws/lib/a.py');
    expect(await openCode(record({ file: '/x/app/a.py', line: 1 }))).toBe('nowhere');
    await file('ws/lib/a.py', '@workflow("review")\ndef f(): ...');
    expect(await openCode(record({ file: '/x/app/a.py', line: 2 }))).toBe('recorded');
    expect(opened()).toEqual(['ws/lib/a.py:1']);
  });

  test('goes beside the panel, where that is a tab', async () => {
    fake.activeTab = new TabInputWebview('attune.telemetry.panel');
    await openCode(record({ file: await file('ws/a.py'), line: 1 }));
    expect(fake.opened[0]?.column).toBe(-2);
  });
});

describe('outside of the workspace', () => {
  test('nothing is opened before the user has seen the path and agreed', async () => {
    const outside = await file('lib/a.py');
    await openCode(record({ file: outside, line: 3 }));
    expect(fake.said).toMatchObject([{ kind: 'warning', detail: outside, buttons: ['Open'] }]);
    expect(opened()).toEqual([]);
    fake.press = 'Open';
    expect(await openCode(record({ file: outside, line: 3 }))).toBe('recorded');
    expect(opened()).toEqual(['lib/a.py:2']);
  });

  test.each(['\\\\evil\\share\\a.py', '//evil/share/a.py', '/not/there.py', '../../etc/passwd', '/etc', ''])(
    'nothing is asked for a path that is none: %j', async (name) => {
      expect(await openCode(record({ file: name, line: 1 }))).toBe('nowhere');
      expect([fake.said, fake.opened]).toEqual([[], []]);
    },
  );

  test('a name that is a pattern is not searched for', async () => {
    await file('ws/app/a.py');
    expect(await openCode(record({ file: '/x/app/*', line: 1 }))).toBe('nowhere');
  });
});

describe('a record without a place', () => {
  test('leads to where its workflow is decorated', async () => {
    await file('ws/a.py', 'x\nwith workflow("review"):\n');
    await file('ws/b.py', 'x\n\n@workflow("review")\ndef f(): ...');
    expect([await openCode(record(null)), opened()]).toEqual(['searched', ['ws/b.py:2']]);
  });

  test('leads there among a hundred files', async () => {
    for (let i = 0; i < 100; i += 1) await file(`ws/m${i}.py`, i === 87 ? 'with workflow("review"): ...' : 'pass');
    expect([await openCode(record(null)), opened()]).toEqual(['searched', ['ws/m87.py:0']]);
  });

  test('of no workflow leads nowhere', async () => {
    await file('ws/b.py', '@workflow("")\ndef f(): ...');
    expect(await openCode(record(null, ''))).toBe('nowhere');
  });

  test('is not kept from it by files that are gone or huge', async () => {
    fake.files.push(path.join(top, 'ws/gone.py'));
    await file('ws/huge.py', `# workflow("review")\n${'#'.repeat(1_000_001)}`);
    await file('ws/z.py', '@workflow\ndef review(): ...');
    expect([await openCode(record(null)), opened()]).toEqual(['searched', ['ws/z.py:0']]);
  });
});
