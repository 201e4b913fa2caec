/** All webviews of the window: the view, the editor tab, and how either comes back after a restart. */

import * as vscode from 'vscode';

import type { AlertsState, ShowTold, Told } from '../shared/protocol';
import type { Host } from './answers';
import type { Parts, Place } from './html';
import { readParts } from './html';
import type { Frame } from './panel';
import { Panel } from './panel';
import type { Problems } from './problems';

export const VIEW = 'attune.telemetry.view';
export const TAB = 'attune.telemetry.panel';

type Wanted = Omit<ShowTold, 'type'>;

export class Panels implements vscode.WebviewViewProvider, vscode.WebviewPanelSerializer, vscode.Disposable {
  private readonly all = new Set<Panel>();
  private readonly attentionEvent = new vscode.EventEmitter<void>();
  /** Whether anything is seen, or used, may have changed. */
  readonly onAttention = this.attentionEvent.event;
  private view: { frame: vscode.WebviewView; panel: Panel } | null = null;
  private tab: { frame: vscode.WebviewPanel; panel: Panel } | null = null;
  /** Of all pages, read for the first. */
  private parts: Parts | null = null;
  /** For the view that VS Code is about to make. */
  private wanted: Wanted | null = null;

  constructor(private readonly extension: vscode.Uri, private readonly host: Host, private readonly problems: Problems) {}

  get visible(): boolean {
    return [...this.all].some((panel) => panel.visible);
  }

  get busy(): boolean {
    return [...this.all].some((panel) => panel.busy);
  }

  tell(told: Told): void {
    for (const panel of this.all) panel.tell(told);
  }

  async openView(wanted: Wanted | null = null): Promise<void> {
    if (wanted && this.view) this.view.panel.show(wanted);
    else this.wanted = wanted;
    await vscode.commands.executeCommand(`${VIEW}.focus`);
  }

  openTab(wanted: Wanted | null = null): void {
    if (this.tab) this.tab.frame.reveal();
    else {
      const title = vscode.l10n.t('LLM Telemetry');
      this.adopt(vscode.window.createWebviewPanel(TAB, title, vscode.ViewColumn.Active, { enableFindWidget: true }));
    }
    if (wanted) this.tab?.panel.show(wanted);
  }

  /** In the tab where that is used, or the only one that is seen; else in the view. */
  async show(wanted: Wanted): Promise<void> {
    if (this.tab?.frame.active || (this.tab?.frame.visible && !this.view?.frame.visible)) this.openTab(wanted);
    else await this.openView(wanted);
  }

  /** How many alerts fire, on the view's icon. */
  badge(alerts: AlertsState): void {
    if (!this.view) return;
    const firing = alerts.state === 'running' ? alerts.firing.filter((one) => !one.silenced).length : 0;
    this.view.frame.badge = firing > 0 ? { value: firing, tooltip: vscode.l10n.t('{0} alerts are firing', firing) } : undefined;
  }

  resolveWebviewView(frame: vscode.WebviewView): void {
    const panel = this.add(frame, 'panel', () => (this.view = null));
    frame.onDidChangeVisibility(() => panel.turned());
    this.view = { frame, panel };
    if (this.wanted) panel.show(this.wanted);
    this.wanted = null;
    this.badge(this.host.feed.alerts());
    this.attentionEvent.fire();
  }

  async deserializeWebviewPanel(frame: vscode.WebviewPanel): Promise<void> {
    this.adopt(frame);
  }

  dispose(): void {
    this.tab?.frame.dispose();
    for (const panel of this.all) panel.dispose();
    this.attentionEvent.dispose();
  }

  private adopt(frame: vscode.WebviewPanel): void {
    const icon = (theme: string): vscode.Uri => vscode.Uri.joinPath(this.extension, 'media', `tab-${theme}.svg`);
    frame.iconPath = { light: icon('light'), dark: icon('dark') };
    const panel = this.add(frame, 'editor', () => (this.tab = null));
    frame.onDidChangeViewState(() => panel.turned());
    this.tab = { frame, panel };
    this.attentionEvent.fire();
  }

  private add(frame: Frame, place: Place, gone: () => void): Panel {
    const panel = new Panel(frame, place, this.extension, (this.parts ??= readParts(this.extension)), this.host, this.problems, () => this.attentionEvent.fire());
    this.all.add(panel);
    frame.onDidDispose(() => {
      gone();
      this.all.delete(panel);
      panel.dispose();
      this.attentionEvent.fire();
    });
    return panel;
  }
}

/** Where to open what a panel leads to: beside it where it is a tab of the active group, so that both are seen. */
export function besideThePanel(): vscode.ViewColumn {
  const tab = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return tab instanceof vscode.TabInputWebview ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
}
