// Finds a browser and puts a code-server into the cache, both outside of the clone.  Prints what it found as JSON.
//
// code-server is VS Code in a browser: the same workbench, the same extension host. Its npm package wants a compiler for
// two of its modules and downloads for others, so it is installed in the steps that need the first only.
import { execFileSync } from 'node:child_process';
import { accessSync, constants, cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '4.100.3'; // VS Code 1.100.3, the last one for Node 20
const STEPS = 2; // counts the changes of how it is installed
const RIPGREP = '1.18.0'; // what VS Code searches with; its own package downloads it from elsewhere
const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

/** Says why the tests in an editor cannot run here. */
export class Missing extends Error {}

export function cacheFolder() {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(base, 'attune-monitoring');
}

/** Returns the path of a Chromium; as root of a Debian it is installed where it is missing. */
export function browser() {
  const found = process.env.CHROMIUM_PATH || onPath(BROWSERS);
  if (found) return found;
  if (process.getuid?.() === 0 && onPath(['apt-get'])) {
    const quiet = { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
    try {
      execFileSync('apt-get', ['update', '-qq'], quiet);
      execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'fonts-dejavu-core'], quiet);
    } catch (error) {
      throw new Missing(`no Chromium, and apt-get could not install one (${error.message})`);
    }
    const installed = onPath(BROWSERS);
    if (installed) return installed;
  }
  throw new Missing('no Chromium on PATH (install one, or name it in CHROMIUM_PATH)');
}

/** Returns code-server's entry point, installed into the cache by the first who asks. */
export function editor() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major !== 20) throw new Missing(`code-server ${VERSION} needs Node 20, this is ${process.version}`);
  if (process.platform !== 'linux') throw new Missing(`code-server is tried on Linux only, this is ${process.platform}`);
  const folder = join(cacheFolder(), `code-server-${VERSION}-${STEPS}`);
  const entry = join(folder, 'node_modules/code-server/out/node/entry.js');
  if (existsSync(entry)) return entry;
  mkdirSync(cacheFolder(), { recursive: true });
  // Made beside its place and renamed into it: a broken-off installation is never found.
  const work = mkdtempSync(`${folder}.`);
  const npm = (cwd, ...words) => execFileSync('npm', [...words, '--no-audit', '--no-fund', '--loglevel=error'], { cwd, stdio: ['ignore', 2, 2] });
  try {
    process.stderr.write(`installing code-server ${VERSION} into ${folder}\n`);
    writeFileSync(join(work, 'package.json'), '{"private":true}');
    const ripgrep = `@vscode/ripgrep-linux-${process.arch}`;
    npm(work, 'install', '--no-save', '--ignore-scripts', `code-server@${VERSION}`, `${ripgrep}@${RIPGREP}`);
    npm(work, 'rebuild', 'argon2');
    const inner = join(work, 'node_modules/code-server/lib/vscode');
    npm(inner, 'install', '--omit=dev', '--ignore-scripts');
    npm(inner, 'rebuild', '@vscode/spdlog', 'native-watchdog');
    cpSync(join(work, 'node_modules', ripgrep, 'bin'), join(inner, 'node_modules/@vscode/ripgrep/bin'), { recursive: true });
    rename(work, folder);
  } catch (error) {
    throw new Missing(`code-server ${VERSION} could not be installed: ${error.message}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return entry;
}

function rename(from, to) {
  try {
    renameSync(from, to);
  } catch (error) {
    // Somebody else was faster, or a folder without an entry point was left there.
    if (existsSync(join(to, 'node_modules/code-server/out/node/entry.js'))) return;
    if (dirname(from) !== dirname(to)) throw error;
    rmSync(to, { recursive: true, force: true });
    renameSync(from, to);
  }
}

function onPath(names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // not there
      }
    }
  }
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${JSON.stringify({ browser: browser(), editor: editor() })}\n`);
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    process.stdout.write(`${JSON.stringify({ missing: error.message })}\n`);
  }
}
