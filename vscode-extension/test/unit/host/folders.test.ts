import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Surroundings } from '../../../src/folders';
import { findFolders, findStorage, labelOf } from '../../../src/folders';

let home: string;
let around: Surroundings;
beforeEach(async () => {
  home = await realpath(await mkdtemp(path.join(tmpdir(), 'home-')));
  around = { env: {}, home };
});
afterEach(() => rm(home, { recursive: true }));

/** Folders (with a slash behind) and files below the home folder. */
async function there(...names: string[]): Promise<void> {
  for (const name of names) {
    const full = path.join(home, name);
    await mkdir(name.endsWith('/') ? full : path.dirname(full), { recursive: true });
    if (!name.endsWith('/')) await writeFile(full, '');
  }
}
const at = (name: string): string => path.join(home, name);
const storage = (cwd: string, trusted = true): Promise<string> => findStorage(at(cwd), around, trusted);

describe('the folder that the Python package records to', () => {
  test('is the nearest .empathy up to the root of the project', async () => {
    await there('proj/.git/', 'proj/.empathy/', 'proj/a/.empathy/', 'proj/a/b/');
    expect(await storage('proj/a/b')).toBe(at('proj/a/.empathy'));
  });

  test('is not looked for above the root of the project', async () => {
    await there('.empathy/', 'proj/pyproject.toml', 'proj/a/');
    expect(await storage('proj/a')).toBe(at('proj/.empathy'));
  });

  test('is in the working directory, where no project is around it', async () => {
    await there('.git/', '.empathy/', 'some/.empathy/', 'some/where/');
    expect(await storage('some/where')).toBe(at('some/where/.empathy'));
  });

  test('is made at the root of the project, where there is none yet', async () => {
    await there('proj/.git/', 'proj/a/');
    expect(await storage('proj/a')).toBe(at('proj/.empathy'));
  });

  test('is no link and no file', async () => {
    await there('proj/.git/', 'proj/.empathy/', 'proj/a/.empathy', 'proj/b/', 'elsewhere/');
    await symlink(at('elsewhere'), at('proj/b/.empathy'));
    expect([await storage('proj/a'), await storage('proj/b')]).toEqual([at('proj/.empathy'), at('proj/.empathy')]);
  });

  test.each([
    ['storage_dir: records', 'records'],
    ['service_name: x\nstorage_dir:   "my records"  # here\n', 'my records'],
    ["storage_dir: 'records'", 'records'],
    ['storage_dir: ${WHERE}/x', 'here/x'],
    ['storage_dir: ${NONE:-fallback}', 'fallback'],
    ['storage_dir: ~/records', '../records'],
  ])('is what monitoring.yaml names: %j', async (yaml, folder) => {
    around = { home, env: { WHERE: 'here' } };
    await there('proj/.git/', 'proj/a/');
    await writeFile(at('proj/monitoring.yaml'), yaml);
    expect(await storage('proj/a')).toBe(path.join(at('proj'), folder));
  });

  test.each(['storage_dir: ${NONE}', 'x:\n  storage_dir: inner', 'storage_dir: *alias', 'storage_dir:', '# storage_dir: x', '\0'])(
    'is the usual one, where monitoring.yaml names none that can be read: %j', async (yaml) => {
      await there('proj/.git/');
      await writeFile(at('proj/monitoring.yaml'), yaml);
      expect(await storage('proj')).toBe(at('proj/.empathy'));
    },
  );

  test('is not said by a file of a workspace that is not trusted', async () => {
    await there('proj/.git/');
    await writeFile(at('proj/monitoring.yaml'), 'storage_dir: /etc');
    expect(await storage('proj', false)).toBe(at('proj/.empathy'));
  });

  test('is said by the file that EMPATHY_CONFIG names, or by none', async () => {
    await there('proj/.git/');
    await writeFile(at('proj/monitoring.yaml'), 'storage_dir: near');
    await writeFile(at('named.yaml'), 'storage_dir: far');
    around = { home, env: { EMPATHY_CONFIG: '~/named.yaml' } };
    expect(await storage('proj')).toBe(at('far'));
    around = { home, env: { EMPATHY_CONFIG: '/dev/null' } };
    expect(await storage('proj')).toBe(at('proj/.empathy'));
  });
});

describe('the folder that is shown', () => {
  const workspace = (...names: string[]) => names.map((name) => ({ name, path: at(name) }));
  const wanted = { chosen: null, setting: '', trusted: true };

  test('of several workspace folders is the first that has records', async () => {
    await there('one/', 'two/.empathy/', 'three/.empathy/');
    const { folder, choices } = await findFolders(workspace('one', 'two', 'three'), wanted, around);
    expect(folder).toEqual({ path: at('two/.empathy'), label: 'two/.empathy' });
    expect(choices.map((one) => one.label)).toEqual(['one/.empathy', 'two/.empathy', 'three/.empathy']);
  });

  test('is the demo, where there is nothing else', async () => {
    await there('one/.empathy-demo/');
    expect((await findFolders(workspace('one'), wanted, around)).folder?.label).toBe('one/.empathy-demo');
    await there('one/.empathy/');
    expect((await findFolders(workspace('one'), wanted, around)).folder?.label).toBe('one/.empathy');
  });

  test('is the one that is to come, where there is none', async () => {
    await there('one/');
    expect((await findFolders(workspace('one'), wanted, around)).folder?.path).toBe(at('one/.empathy'));
  });

  test('of no workspace is none', async () => {
    expect(await findFolders([], wanted, around)).toEqual({ folder: null, choices: [] });
  });

  test.each([
    ['~/records', 'records'],
    ['~', ''],
    ['inner/records', 'one/inner/records'],
  ])('is the setting %s, whether it is there or not', async (setting, folder) => {
    await there('one/.empathy/');
    const found = await findFolders(workspace('one'), { ...wanted, setting }, around);
    expect(found.folder?.path).toBe(path.join(home, folder));
  });

  test('is the setting in each of several workspace folders', async () => {
    await there('one/', 'two/records/');
    const found = await findFolders(workspace('one', 'two'), { ...wanted, setting: 'records' }, around);
    expect(found.folder?.label).toBe('two/records');
  });

  test('is what the environment names, below the setting', async () => {
    await there('one/.empathy/', 'env/', 'set/');
    const named = { home, env: { EMPATHY_STORAGE_DIR: at('env') } };
    expect((await findFolders(workspace('one'), wanted, named)).folder?.path).toBe(at('env'));
    expect((await findFolders(workspace('one'), { ...wanted, setting: at('set') }, named)).folder?.path).toBe(at('set'));
  });

  test('is the one that was chosen, unless it is gone', async () => {
    await there('one/.empathy/', 'other/');
    expect((await findFolders(workspace('one'), { ...wanted, chosen: at('other') }, around)).folder?.path).toBe(at('other'));
    const gone = await findFolders(workspace('one'), { ...wanted, chosen: at('gone') }, around);
    expect([gone.folder?.path, gone.choices.length]).toEqual([at('one/.empathy'), 1]);
  });

  test('may have been chosen before it is there', async () => {
    await there('one/.empathy/', 'two/');
    const found = await findFolders(workspace('one', 'two'), { ...wanted, chosen: at('two/.empathy') }, around);
    expect(found.folder?.label).toBe('two/.empathy');
  });

  test('two workspace folders of one project have one choice', async () => {
    await there('proj/.git/', 'proj/a/', 'proj/b/', 'proj/.empathy/');
    const found = await findFolders([{ name: 'a', path: at('proj/a') }, { name: 'b', path: at('proj/b') }], wanted, around);
    expect(found.choices).toEqual([{ path: at('proj/.empathy'), label: '~/proj/.empathy' }]);
  });
});

test('a label is the folder itself, where it is neither in the workspace nor at home', () => {
  expect(labelOf('/srv/records', [{ name: 'a', path: '/work/a' }], '/home/me')).toBe('/srv/records');
  expect(labelOf('/work/a', [{ name: 'a', path: '/work/a' }], '/home/me')).toBe('a');
  expect(labelOf('/work/a/..b', [{ name: 'a', path: '/work/a' }], '/home/me')).toBe('a/..b');
});
