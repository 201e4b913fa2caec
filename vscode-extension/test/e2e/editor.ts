/** A real VS Code (code-server) with the packaged extension, driven in a headless Chromium. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type FrameLocator, type Page } from 'playwright-core';
import type { Installed } from './setup';

const SETTINGS = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'telemetry.telemetryLevel': 'off',
  'git.enabled': false,
  'window.commandCenter': false,
  'chat.commandCenter.enabled': false,
  'files.simpleDialog.enable': true,
};

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--force-color-profile=srgb',
];

export const THEMES = {
  dark: 'Default Dark Modern',
  light: 'Default Light Modern',
  'high-contrast': 'Default High Contrast',
  'high-contrast-light': 'Default High Contrast Light',
} as const;

export interface Opening {
  /** Beside what every test needs. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly width?: number;
  readonly height?: number;
  readonly reducedMotion?: boolean;
  /** IANA name; the extension host and the browser are in it. */
  readonly timeZone?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** One editor with one workspace. */
export class Editor {
  private constructor(
    readonly page: Page,
    readonly workspace: string,
    private readonly context: BrowserContext,
    private readonly server: ChildProcess,
    private readonly home: string,
    /** What a policy of the page refused, in any frame. */
    readonly violations: string[],
  ) {}

  static async open(installed: Installed, workspace: string, opening: Opening = {}): Promise<Editor> {
    const home = mkdtempSync(join(tmpdir(), 'attune-editor-'));
    const user = join(home, 'data', 'User');
    mkdirSync(user, { recursive: true });
    writeFileSync(join(user, 'settings.json'), JSON.stringify({ ...SETTINGS, ...opening.settings }));
    writeFileSync(join(home, 'config.yaml'), '');
    const port = await freePort();
    const environment = { ...process.env, TZ: opening.timeZone ?? 'UTC', ...opening.environment };
    const server = spawn(process.execPath, [
      installed.editor, '--config', join(home, 'config.yaml'), '--user-data-dir', join(home, 'data'),
      '--extensions-dir', installed.extensions, '--auth', 'none', '--bind-addr', `127.0.0.1:${port}`,
      '--disable-telemetry', '--disable-update-check', '--disable-getting-started-override', '--ignore-last-opened',
    ], { env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    await listening(server);
    const context = await chromium.launchPersistentContext(join(home, 'browser'), {
      executablePath: installed.browser,
      headless: true,
      args: FLAGS,
      viewport: { width: opening.width ?? 1280, height: opening.height ?? 860 },
      reducedMotion: opening.reducedMotion ? 'reduce' : 'no-preference',
      timezoneId: opening.timeZone ?? 'UTC',
      env: environment as Record<string, string>,
    });
    const violations: string[] = [];
    await context.exposeFunction('policyRefused', (what: string) => violations.push(what));
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
        const tell = (window as unknown as { policyRefused?: (what: string) => void }).policyRefused;
        tell?.(`${violatedDirective} ${blockedURI} ${sourceFile} in ${location.href}`);
      });
    });
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(30_000);
    await page.goto(`http://127.0.0.1:${port}/?folder=${encodeURIComponent(workspace)}`);
    const editor = new Editor(page, workspace, context, server, home, violations);
    await editor.drawn();
    return editor;
  }

  /** End the window and begin it anew, as its users do: what it keeps is written first. */
  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent('load');
    await this.command('Developer: Reload Window');
    await loaded;
    await this.drawn();
  }

  private async drawn(): Promise<void> {
    await this.page.locator('.monaco-workbench').waitFor();
    await this.page.locator('.statusbar-item').first().waitFor();
  }

  /** Run a command by its title, as the palette shows it. */
  async command(title: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input[type=text]').first();
    const row = this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: title }).first();
    // The palette lists what was known when it was opened; extensions are read after the workbench is drawn.
    for (let attempt = 1; ; attempt += 1) {
      await this.page.keyboard.press('F1');
      await input.waitFor({ state: 'visible' });
      await input.fill(`>${title}`);
      try {
        await row.waitFor({ timeout: 4000 });
        break;
      } catch (error) {
        if (attempt === 15) throw error;
        await this.page.keyboard.press('Escape');
      }
    }
    await this.page.keyboard.press('Enter');
    await input.waitFor({ state: 'hidden' });
  }

  /** The document of the webview that is shown; `nth` counts from 0. */
  webview(nth = 0): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').nth(nth).frameLocator('iframe#active-frame');
  }

  /** Change the workspace's settings, as their file on disk. */
  set(settings: Readonly<Record<string, unknown>>): void {
    mkdirSync(join(this.workspace, '.vscode'), { recursive: true });
    writeFileSync(join(this.workspace, '.vscode', 'settings.json'), JSON.stringify(settings));
  }

  async close(): Promise<void> {
    await this.context.close();
    const ended = once(this.server, 'exit');
    // Its extension hosts are in its process group and would stay.
    if (this.server.pid) process.kill(-this.server.pid, 'SIGKILL');
    await ended;
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function listening(server: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      if (said.includes('HTTP server listening on')) resolve();
    };
    server.stdout?.on('data', hear);
    server.stderr?.on('data', hear);
    server.once('exit', (code) => reject(new Error(`code-server ended with ${code}:\n${said}`)));
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  await new Promise((closed) => probe.close(closed));
  return port;
}
