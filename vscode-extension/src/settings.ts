/** The panel's settings as VS Code keeps them: `attune.telemetry.*`, each checked, whoever wrote it. */

import * as vscode from 'vscode';

import { CHART_THEMES, REFRESH_SECONDS, RETENTION_DAYS } from '../shared/protocol';
import type { Settings } from '../shared/protocol';

const SECTION = 'attune.telemetry';
const MOST_COLORS = 8;

/** The name below the section, and the value that a setting has for what stands there; undefined where it is none. */
const SETTINGS: { readonly [K in keyof Settings]: readonly [name: string, otherwise: Settings[K], check: (value: unknown) => Settings[K] | undefined] } = {
  refreshSeconds: ['refreshSeconds', 30, oneOf(REFRESH_SECONDS)],
  retentionDays: ['retentionDays', 0, oneOf(RETENTION_DAYS)],
  chartTheme: ['chartTheme', 'editor', oneOf(CHART_THEMES)],
  chartColors: ['chartColors', [], colors],
  folder: ['folder', '', (value) => (typeof value === 'string' ? value.trim() : undefined)],
  light: ['lightMode', false, yesOrNo],
  includeTests: ['includeTests', false, yesOrNo],
};

export function readSettings(): Settings {
  const section = vscode.workspace.getConfiguration(SECTION);
  const read = <K extends keyof Settings>(key: K): Settings[K] => {
    const [name, otherwise, check] = SETTINGS[key];
    return check(section.get(name)) ?? otherwise;
  };
  return {
    refreshSeconds: read('refreshSeconds'),
    retentionDays: read('retentionDays'),
    chartTheme: read('chartTheme'),
    chartColors: read('chartColors'),
    folder: read('folder'),
    light: read('light'),
    includeTests: read('includeTests'),
  };
}

export function showsStatusBar(): boolean {
  return vscode.workspace.getConfiguration(SECTION).get('statusBar') !== false;
}

/** Write what changed, where it is already set: in the workspace, else for the user. Rejects a value that is none. */
export async function saveSettings(change: Partial<Settings>): Promise<Settings> {
  const section = vscode.workspace.getConfiguration(SECTION);
  for (const key of Object.keys(SETTINGS) as (keyof Settings)[]) {
    if (change[key] === undefined) continue;
    const [name, , check] = SETTINGS[key];
    const value = check(change[key]);
    if (value === undefined) {
      throw new Error(vscode.l10n.t('{0} cannot be {1}', `${SECTION}.${name}`, JSON.stringify(change[key]).slice(0, 60)));
    }
    if (JSON.stringify(value) === JSON.stringify(check(section.get(name)))) continue;
    await section.update(name, value, target(section, name, key));
  }
  return readSettings();
}

/** Which of the settings an event of VS Code is about. */
export function changes(event: vscode.ConfigurationChangeEvent): { any: boolean; folder: boolean } {
  return {
    any: event.affectsConfiguration(SECTION),
    folder: event.affectsConfiguration(`${SECTION}.${SETTINGS.folder[0]}`),
  };
}

function target(section: vscode.WorkspaceConfiguration, name: string, key: keyof Settings): vscode.ConfigurationTarget {
  const inWorkspace = section.inspect(name)?.workspaceValue !== undefined;
  // A folder belongs to one project.
  const ofWorkspace = key === 'folder' && (vscode.workspace.workspaceFolders?.length ?? 0) > 0;
  return inWorkspace || ofWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
}

function oneOf<T>(allowed: readonly T[]): (value: unknown) => T | undefined {
  return (value) => allowed.find((one) => one === value);
}

function yesOrNo(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

function colors(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter((one): one is string => typeof one === 'string' && /^#[0-9a-f]{6}$/i.test(one)).slice(0, MOST_COLORS);
}
