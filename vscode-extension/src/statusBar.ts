/** Today's cost in the status bar. */

import * as vscode from 'vscode';

import type { AlertsState } from '../shared/protocol';

export interface Today {
  readonly cost: number;
  readonly calls: number;
  readonly unknownCost: number;
}

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('attune.telemetry.today', vscode.StatusBarAlignment.Left, 0);

  constructor(command: string) {
    this.item.name = vscode.l10n.t('LLM cost of today');
    this.item.command = command;
  }

  /** null: there is no folder, or it is not wanted. */
  show(today: Today | null, alerts: AlertsState, label: string): void {
    if (!today) return this.item.hide();
    const firing = alerts.state === 'running' ? alerts.firing.filter((one) => !one.silenced) : [];
    const cost = money(today.cost, vscode.env.language);
    this.item.text = `$(graph-line) ${cost}${firing.length > 0 ? ` $(bell-dot) ${firing.length}` : ''}`;
    // Plain text: names of rules come from a file.
    const lines = [
      vscode.l10n.t('LLM calls today: {0} for {1}', today.calls.toLocaleString(vscode.env.language), cost),
      ...(today.unknownCost > 0 ? [vscode.l10n.t('{0} more of unknown cost', today.unknownCost)] : []),
      ...firing.slice(0, 5).map((one) => vscode.l10n.t('Alert: {0}', one.rule.slice(0, 80))),
      label,
    ];
    this.item.tooltip = lines.join('\n');
    this.item.backgroundColor = firing.length > 0 ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
    this.item.accessibilityInformation = { label: lines.slice(0, -1).join(', '), role: 'button' };
    this.item.show();
  }

  dispose(): void {
    this.item.dispose();
  }
}

/** Cents from ten cents on, else enough digits to tell small amounts apart. */
export function money(usd: number, locale: string): string {
  const digits = usd === 0 || Math.abs(usd) >= 0.1 ? 2 : 4;
  return new Intl.NumberFormat(locale, { style: 'currency', currency: 'USD', minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(usd);
}
