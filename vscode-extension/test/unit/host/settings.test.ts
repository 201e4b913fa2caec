import { beforeEach, describe, expect, test } from 'vitest';

import type { Settings } from '../../../shared/protocol';
import { readSettings, saveSettings, showsStatusBar } from '../../../src/settings';
import { fake, reset, Uri } from './vscode';

beforeEach(reset);

const DEFAULTS: Settings = {
  refreshSeconds: 30, retentionDays: 0, chartTheme: 'editor', chartColors: [], folder: '', light: false, includeTests: false,
};

describe('reading', () => {
  test('without anything set, the defaults', () => {
    expect(readSettings()).toEqual(DEFAULTS);
  });

  test('what is no value of a setting is its default', () => {
    fake.settings.workspace = {
      refreshSeconds: 1, retentionDays: '30', chartTheme: 'x', chartColors: 'red', folder: 7, lightMode: 'yes', includeTests: null,
    };
    expect(readSettings()).toEqual(DEFAULTS);
  });

  test('colors are at most eight, and only such as can be nothing else', () => {
    fake.settings.user = { chartColors: ['#123456', 'red', 'url(x)', '#ABCDEF', 3, ...Array<string>(9).fill('#000000')] };
    expect(readSettings().chartColors).toEqual(['#123456', '#ABCDEF', ...Array<string>(6).fill('#000000')]);
  });

  test('the status bar shows unless it is switched off', () => {
    expect(showsStatusBar()).toBe(true);
    fake.settings.user = { statusBar: false };
    expect(showsStatusBar()).toBe(false);
  });
});

describe('saving', () => {
  test('for the user, unless the workspace has set it', async () => {
    fake.settings.workspace = { refreshSeconds: 60 };
    await saveSettings({ refreshSeconds: 10, light: true });
    expect(fake.settings).toEqual({ workspace: { refreshSeconds: 10 }, user: { lightMode: true } });
  });

  test('a folder belongs to the workspace, where one is open', async () => {
    await saveSettings({ folder: '/a' });
    fake.folders = [{ name: 'x', uri: Uri.file('/x') }];
    await saveSettings({ folder: '/b' });
    expect(fake.settings).toEqual({ workspace: { folder: '/b' }, user: { folder: '/a' } });
  });

  test('answers with all settings as they are now', async () => {
    expect(await saveSettings({ chartTheme: 'colorblind' })).toEqual({ ...DEFAULTS, chartTheme: 'colorblind' });
  });

  test('what is already so is not written', async () => {
    await saveSettings({ retentionDays: 30 });
    fake.configurationChanged.event(() => expect.unreachable());
    await saveSettings({ retentionDays: 30 });
  });

  test.each([
    [{ refreshSeconds: 1 }, 'refreshSeconds cannot be 1'],
    [{ folder: ['/'] }, 'folder cannot be ["/"]'],
    [{ light: 'x'.repeat(200) }, `lightMode cannot be "${'x'.repeat(59)}`],
  ])('%j is refused in words', async (change, words) => {
    await expect(saveSettings(change as unknown as Partial<Settings>)).rejects.toThrow(`attune.telemetry.${words}`);
  });

  test('what is no setting is passed over', async () => {
    await saveSettings({ statusBar: false, other: 1 } as Partial<Settings>);
    expect(fake.settings).toEqual({ workspace: {}, user: {} });
  });
});
