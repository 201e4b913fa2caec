/** Which folder of records is read: the rule of docs/configuration.md, asked from each folder of the workspace. */

import { lstat, readFile, stat } from 'node:fs/promises';
import path from 'node:path';

const STORAGE = '.empathy';
const DEMO = '.empathy-demo';
const CONFIG_NAMES = ['monitoring.yaml', 'monitoring.yml'];
const LONGEST_CONFIG = 1 << 20;

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

export interface WorkspaceFolder {
  readonly name: string;
  readonly path: string;
}

export interface Choice {
  readonly path: string;
  readonly label: string;
}

export interface Wanted {
  /** As it was chosen by hand in this workspace; goes before everything else, unless it is gone. */
  readonly chosen: string | null;
  /** `attune.telemetry.folder`; empty where it is not set. */
  readonly setting: string;
  /** Where the workspace is not trusted, no file of it says where to read. */
  readonly trusted: boolean;
}

export interface Found {
  /** null: no folder is open, and none is named. */
  readonly folder: Choice | null;
  readonly choices: readonly Choice[];
}

/** The folder to read and all that could be read instead. */
export async function findFolders(
  workspace: readonly WorkspaceFolder[], wanted: Wanted, around: Surroundings,
): Promise<Found> {
  const named = namedFolders(workspace, wanted.setting || around.env['EMPATHY_STORAGE_DIR'] || '', around.home);
  const found: string[] = [...named];
  for (const folder of workspace) {
    found.push(await findStorage(folder.path, around, wanted.trusted));
    const demo = path.join(folder.path, DEMO);
    if (await isOwnFolder(demo)) found.push(demo);
  }
  const { chosen } = wanted;
  const holds = chosen !== null && (found.includes(chosen) || (await isFolder(chosen)));
  const paths = [...new Set(holds ? [chosen, ...found] : found)];
  const choices = paths.map((one) => ({ path: one, label: labelOf(one, workspace, around.home) }));
  if (holds || named.length === 1) return { folder: choices[0] ?? null, choices };
  for (const choice of choices) {
    if (await isFolder(choice.path)) return { folder: choice, choices };
  }
  return { folder: choices[0] ?? null, choices };
}

/** Where the Python package records when it is run in `cwd`; it need not exist. */
export async function findStorage(cwd: string, around: Surroundings, trusted: boolean): Promise<string> {
  const upward = await toTheRoot(cwd, around.home);
  const configured = trusted ? await configuredStorage(upward, around) : null;
  if (configured) return configured;
  for (const folder of upward) {
    if (await isOwnFolder(path.join(folder, STORAGE))) return path.join(folder, STORAGE);
  }
  return path.join(upward[upward.length - 1] ?? cwd, STORAGE);
}

/** Short, for people: the workspace folder's name and the path below it, else the path with `~`. */
export function labelOf(folder: string, workspace: readonly WorkspaceFolder[], home: string): string {
  for (const { name, path: top } of workspace) {
    const below = path.relative(top, folder);
    if (isBelow(below)) return [name, ...below.split(path.sep)].filter((part) => part !== '').join('/');
  }
  const belowHome = path.relative(home, folder);
  return home && isBelow(belowHome) ? path.join('~', belowHome) : folder;
}

/** `named` in the place of each workspace folder that it is relative to. */
function namedFolders(workspace: readonly WorkspaceFolder[], named: string, home: string): string[] {
  if (!named) return [];
  const plain = expanded(named, home);
  if (path.isAbsolute(plain)) return [path.normalize(plain)];
  return workspace.map((folder) => path.resolve(folder.path, plain));
}

function expanded(named: string, home: string): string {
  return named === '~' || /^~[/\\]/.test(named) ? path.join(home, named.slice(1)) : named;
}

function isBelow(relative: string): boolean {
  return relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}

/** From `cwd` up to the project's root, the nearest with .git or pyproject.toml; `cwd` alone where there is none. */
async function toTheRoot(cwd: string, home: string): Promise<string[]> {
  const chain: string[] = [];
  for (let folder = cwd; ; folder = path.dirname(folder)) {
    const atTheTop = path.dirname(folder) === folder;
    // What lies in the home folder or in the file system's root belongs to no one project.
    if (folder !== cwd && (atTheTop || folder === home)) return [cwd];
    chain.push(folder);
    if ((await exists(path.join(folder, '.git'))) || (await exists(path.join(folder, 'pyproject.toml')))) return chain;
    if (atTheTop) return [cwd];
  }
}

/** `storage_dir` of the nearest monitoring.yaml. */
async function configuredStorage(upward: readonly string[], around: Surroundings): Promise<string | null> {
  const named = around.env['EMPATHY_CONFIG'];
  const files = named
    ? [path.resolve(upward[0] ?? '', expanded(named, around.home))]
    : upward.flatMap((folder) => CONFIG_NAMES.map((name) => path.join(folder, name)));
  for (const file of files) {
    const text = await textOf(file);
    if (text === null) continue;
    const storage = storageIn(text, around.env);
    return storage ? path.resolve(path.dirname(file), expanded(storage, around.home)) : null;
  }
  return null;
}

/** A plain or quoted text at the top level, which is how anybody writes it; other YAML is left to the setting. */
function storageIn(text: string, env: Surroundings['env']): string | null {
  const line = /^storage_dir[ \t]*:[ \t]+(?:"([^"\\\r\n]*)"|'([^'\r\n]*)'|([^\s"'#&*!|>{[][^#\r\n]*))/m.exec(text);
  const value = line?.[1] ?? line?.[2] ?? line?.[3]?.trim();
  if (!value) return null;
  let missing = false;
  const filled = value.replace(/\$\{(\w+)(?::-([^}]*))?\}/g, (_, name: string, otherwise?: string) => {
    const found = env[name] ?? otherwise;
    if (found === undefined) missing = true;
    return found ?? '';
  });
  return missing ? null : filled;
}

async function textOf(file: string): Promise<string | null> {
  try {
    const found = await lstat(file);
    return found.isFile() && found.size <= LONGEST_CONFIG ? await readFile(file, 'utf8') : null;
  } catch {
    return null;
  }
}

async function exists(file: string): Promise<boolean> {
  return lstat(file).then(() => true, () => false);
}

export async function isFolder(folder: string): Promise<boolean> {
  return stat(folder).then((found) => found.isDirectory(), () => false);
}

/** A folder, not a link, of this user: as the recorder takes it. Windows has no owner ids. */
async function isOwnFolder(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => null);
  return found?.isDirectory() === true && (process.geteuid === undefined || found.uid === process.geteuid());
}
