/** What the host uses of the editor's API, for tests outside of it: it keeps what it is told, and answers as `fake` says. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';

type Handler<T> = (value: T) => unknown;

export class Disposable {
  constructor(private readonly end: () => unknown) {}
  static from(...parts: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => parts.forEach((part) => part.dispose()));
  }
  dispose(): void {
    this.end();
  }
}

export class EventEmitter<T> {
  private readonly handlers = new Set<Handler<T>>();
  readonly event = (handler: Handler<T>): Disposable => {
    this.handlers.add(handler);
    return new Disposable(() => this.handlers.delete(handler));
  };
  fire(value: T): void {
    for (const handler of [...this.handlers]) handler(value);
  }
  dispose(): void {
    this.handlers.clear();
  }
}

export class Uri {
  private constructor(readonly scheme: string, readonly path: string, readonly query = '') {}
  static file(file: string): Uri {
    return new Uri('file', file.replaceAll('\\', '/'));
  }
  static from({ scheme, path: at, query }: { scheme: string; path: string; query?: string }): Uri {
    return new Uri(scheme, at, query);
  }
  static parse(text: string): Uri {
    const [scheme = '', rest = ''] = text.split(/:(.*)/s);
    return new Uri(scheme, rest);
  }
  static joinPath(uri: Uri, ...parts: string[]): Uri {
    return new Uri(uri.scheme, path.posix.join(uri.path, ...parts));
  }
  get fsPath(): string {
    return this.path;
  }
  toString(): string {
    return `${this.scheme}:${this.scheme === 'file' ? '//' : ''}${this.path}`;
  }
}

export class RelativePattern {
  constructor(readonly baseUri: Uri, readonly pattern: string) {}
}
export class ThemeColor {
  constructor(readonly id: string) {}
}
export class TabInputWebview {
  constructor(readonly viewType: string) {}
}
export const ConfigurationTarget = { Global: 1, Workspace: 2, WorkspaceFolder: 3 };
export const ProgressLocation = { Window: 10, Notification: 15 };
export const StatusBarAlignment = { Left: 1, Right: 2 };
export const ViewColumn = { Active: -1, Beside: -2 };
export const TextEditorRevealType = { InCenterIfOutsideViewport: 2 };

/** A segment of settings: what a workspace and a user have set, beside the defaults. */
interface Configured {
  workspace: Record<string, unknown>;
  user: Record<string, unknown>;
}

export interface Said {
  readonly kind: string;
  readonly text: string;
  readonly detail: string | undefined;
  readonly buttons: readonly string[];
}

function begin() {
  return {
    settings: { workspace: {}, user: {} } as Configured,
    folders: [] as { name: string; uri: Uri }[],
    trusted: true,
    language: 'en',
    /** What the workspace has, for `findFiles`. */
    files: [] as string[],
    /** Messages that were shown, and which button is pressed on the next ones. */
    said: [] as Said[],
    press: null as string | null,
    logged: [] as string[],
    saveAs: undefined as Uri | undefined,
    openFolder: undefined as Uri | undefined,
    cancelled: false,
    opened: [] as { file: string; line: number | null; column: number }[],
    run: [] as unknown[][],
    browsed: [] as string[],
    activeTab: undefined as unknown,
    watchers: [] as { glob: string; changed: EventEmitter<unknown>; disposed: boolean }[],
    statusItems: [] as { text: string; tooltip: unknown; shown: boolean }[],
    commands: new Map<string, (...args: unknown[]) => unknown>(),
    pick: (_items: readonly { label: string }[]): unknown => undefined,
    panels: [] as FakeFrame[],
    configurationChanged: new EventEmitter<{ affectsConfiguration(name: string): boolean }>(),
    foldersChanged: new EventEmitter<unknown>(),
    trustGranted: new EventEmitter<void>(),
    contents: new Map<string, { provideTextDocumentContent(uri: Uri): Promise<string> }>(),
    serializers: new Map<string, { deserializeWebviewPanel(panel: unknown): Promise<void> }>(),
    views: new Map<string, { resolveWebviewView(view: unknown): unknown }>(),
  };
}

/** Anew before each test, by `reset`. */
export let fake = begin();

export function reset(): void {
  fake = begin();
}

/** A view or a tab, and the page in it. */
export class FakeFrame {
  readonly disposed = new EventEmitter<void>();
  readonly turned = new EventEmitter<void>();
  readonly received = new EventEmitter<unknown>();
  readonly posted: unknown[] = [];
  readonly onDidDispose = this.disposed.event;
  readonly onDidChangeVisibility = this.turned.event;
  readonly onDidChangeViewState = this.turned.event;
  visible = true;
  revealed = 0;
  badge: unknown = undefined;
  iconPath: unknown = undefined;
  readonly webview = {
    options: {} as { localResourceRoots?: Uri[]; enableScripts?: boolean },
    html: '',
    cspSource: 'https://files.example',
    asWebviewUri: (uri: Uri) => Uri.parse(`https://files.example${uri.path}`),
    onDidReceiveMessage: this.received.event,
    postMessage: (message: unknown) => {
      this.posted.push(message);
      return Promise.resolve(true);
    },
  };
  reveal(): void {
    this.revealed += 1;
  }
  dispose(): void {
    this.disposed.fire();
  }
  turn(visible: boolean): void {
    this.visible = visible;
    this.turned.fire();
  }
}

function filled(text: string, values: readonly unknown[]): string {
  return text.replace(/\{(\d)\}/g, (_, index: string) => String(values[Number(index)]));
}

export const l10n = { bundle: undefined, t: (text: string, ...values: unknown[]) => filled(text, values) };

export const env = {
  get language() {
    return fake.language;
  },
  openExternal: async (uri: Uri) => fake.browsed.push(uri.toString()) > 0,
};

export const commands = {
  registerCommand(name: string, run: (...args: unknown[]) => unknown): Disposable {
    fake.commands.set(name, run);
    return new Disposable(() => fake.commands.delete(name));
  },
  async executeCommand(...call: unknown[]): Promise<void> {
    fake.run.push(call);
  },
};

function inFolder(uri: Uri): { name: string; uri: Uri } | undefined {
  return fake.folders.find((folder) => uri.path.startsWith(`${folder.uri.path}/`));
}

export const workspace = {
  get workspaceFolders() {
    return fake.folders.length > 0 ? fake.folders : undefined;
  },
  get isTrusted() {
    return fake.trusted;
  },
  getWorkspaceFolder: inFolder,
  getConfiguration(section: string) {
    const { workspace: ofWorkspace, user } = fake.settings;
    return {
      get: (name: string) => ofWorkspace[name] ?? user[name],
      inspect: (name: string) => ({ workspaceValue: ofWorkspace[name], globalValue: user[name] }),
      async update(name: string, value: unknown, target: number) {
        (target === ConfigurationTarget.Workspace ? ofWorkspace : user)[name] = value;
        fake.configurationChanged.fire({
          affectsConfiguration: (asked) => `${section}.${name}` === asked || `${section}.${name}`.startsWith(`${asked}.`),
        });
      },
    };
  },
  async findFiles(glob: string): Promise<Uri[]> {
    const end = glob.replace('**/', '').replace('*', '');
    return fake.files.filter((file) => path.basename(file) === end || (end === '.py' && file.endsWith(end))).map((file) => Uri.file(file));
  },
  fs: { readFile: (uri: Uri) => readFile(uri.fsPath) },
  async openTextDocument(uri: Uri) {
    const text = uri.scheme === 'file' ? await readFile(uri.fsPath, 'utf8') : await fake.contents.get(uri.scheme)?.provideTextDocumentContent(uri);
    const lines = (text ?? '').split('\n');
    return { uri, lineCount: lines.length, lineAt: (line: number) => ({ range: { line } }), text };
  },
  createFileSystemWatcher(glob: RelativePattern) {
    const watcher = { glob: `${glob.baseUri.path}/${glob.pattern}`, changed: new EventEmitter<unknown>(), disposed: false };
    fake.watchers.push(watcher);
    const { event } = watcher.changed;
    return { onDidChange: event, onDidCreate: event, onDidDelete: event, dispose: () => (watcher.disposed = true) };
  },
  registerTextDocumentContentProvider(scheme: string, provider: { provideTextDocumentContent(uri: Uri): Promise<string> }) {
    fake.contents.set(scheme, provider);
    return new Disposable(() => undefined);
  },
  onDidChangeWorkspaceFolders: (handler: Handler<unknown>) => fake.foldersChanged.event(handler),
  onDidGrantWorkspaceTrust: (handler: Handler<void>) => fake.trustGranted.event(handler),
  onDidChangeConfiguration: (handler: Handler<{ affectsConfiguration(name: string): boolean }>) => fake.configurationChanged.event(handler),
};

async function say(kind: string, text: string, ...rest: unknown[]): Promise<string | undefined> {
  const options = typeof rest[0] === 'object' ? (rest.shift() as { detail?: string }) : {};
  const buttons = rest as string[];
  fake.said.push({ kind, text, detail: options.detail, buttons });
  return buttons.find((button) => button === fake.press);
}

export const window = {
  createOutputChannel: () => ({
    error: (text: string) => fake.logged.push(`error ${text}`),
    debug: (text: string) => fake.logged.push(`debug ${text}`),
    show: () => fake.logged.push('shown'),
    dispose: () => undefined,
  }),
  showErrorMessage: (text: string, ...rest: unknown[]) => say('error', text, ...rest),
  showWarningMessage: (text: string, ...rest: unknown[]) => say('warning', text, ...rest),
  showInformationMessage: (text: string, ...rest: unknown[]) => say('information', text, ...rest),
  showSaveDialog: async () => fake.saveAs,
  showOpenDialog: async () => fake.openFolder && [fake.openFolder],
  showQuickPick: async (items: readonly { label: string }[]) => fake.pick(items),
  withProgress: (_: unknown, task: (progress: { report(): void }, token: { isCancellationRequested: boolean }) => unknown) =>
    task({ report: () => undefined }, { isCancellationRequested: fake.cancelled }),
  createStatusBarItem() {
    const item = { text: '', tooltip: '', shown: false, show: () => void (item.shown = true), hide: () => void (item.shown = false), dispose: () => undefined };
    fake.statusItems.push(item);
    return item;
  },
  tabGroups: {
    get activeTabGroup() {
      return { activeTab: { input: fake.activeTab } };
    },
  },
  async showTextDocument(document: { uri: Uri }, options: { selection?: { line: number }; viewColumn?: number }) {
    fake.opened.push({ file: document.uri.path, line: options.selection?.line ?? null, column: options.viewColumn ?? ViewColumn.Active });
    return { revealRange: () => undefined };
  },
  createWebviewPanel(): FakeFrame {
    const frame = new FakeFrame();
    fake.panels.push(frame);
    return frame;
  },
  registerWebviewViewProvider(id: string, provider: { resolveWebviewView(view: unknown): unknown }) {
    fake.views.set(id, provider);
    return new Disposable(() => undefined);
  },
  registerWebviewPanelSerializer(id: string, serializer: { deserializeWebviewPanel(panel: unknown): Promise<void> }) {
    fake.serializers.set(id, serializer);
    return new Disposable(() => undefined);
  },
};

/** `workspaceState`. */
export class Memento {
  readonly kept = new Map<string, unknown>();
  readonly keys = (): readonly string[] => [...this.kept.keys()];
  get<T>(key: string): T | undefined {
    return this.kept.get(key) as T | undefined;
  }
  async update(key: string, value: unknown): Promise<void> {
    if (value === undefined) this.kept.delete(key);
    else this.kept.set(key, value);
  }
}
