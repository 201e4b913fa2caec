/** The panel's settings; each is saved as it is changed, as in the editor's own. */

import type { ReactNode } from 'react';
import { useState } from 'react';
import type { Settings as Values } from '../../shared/protocol';
import { CHART_THEMES, REFRESH_SECONDS, RETENTION_DAYS } from '../../shared/protocol';
import { t } from '../texts';
import { useTelemetryData } from '../useTelemetryData';
import { Button, Checkbox, IconButton, Select, TextField } from './controls';
import { Sheet } from './Sheet';
import { Problem } from './states';

const MOST_COLORS = 8;
const NEXT_COLOR = '#3794ff';

export function Settings({ settings }: { readonly settings: Values }): ReactNode {
  const { data, telemetry } = useTelemetryData();
  const [saved, setSaved] = useState(false);
  const trusted = data.hello.data?.trusted ?? false;
  const save = (change: Partial<Values>): void => {
    setSaved(false);
    void telemetry.save(change).then((values) => { setSaved(values !== null); });
  };
  return (
    <Sheet title={t('Settings')} onClose={() => { telemetry.closeSheet(); }}>
      {data.notice?.kind === 'error' && <Problem text={data.notice.text} onRetry={() => { telemetry.dismiss(); }} />}
      <Setting title={t('Refresh')} text={t('New records are seen as they are written; besides, the folder is looked at this often.')}>
        <Select label={t('Refresh')} value={String(settings.refreshSeconds)} choices={REFRESH_SECONDS.map((seconds) => ({ value: String(seconds), label: seconds === 0 ? t('By hand only') : t('Every {0} seconds', seconds) }))}
          onChange={(value) => { save({ refreshSeconds: Number(value) }); }} />
      </Setting>
      <Setting title={t('Retention')} text={t('Older records are moved to the archive folder, whole files at a time. Nothing is deleted.')}>
        <Select label={t('Retention')} value={String(settings.retentionDays)} choices={RETENTION_DAYS.map((days) => ({ value: String(days), label: days === 0 ? t('Keep everything') : t('{0} days', days) }))}
          onChange={(value) => { save({ retentionDays: Number(value) }); }} />
      </Setting>
      <Setting title={t('Folder')} text={trusted ? t('Where the records are. Left empty, the folder .empathy of the workspace is found by itself.') : t('Cannot be changed in a workspace that is not trusted.')}>
        <div className="flex items-center gap-2">
          {trusted
            ? (
              <>
                <TextField label={t('Folder')} className="grow" value={settings.folder} placeholder=".empathy" onChange={(folder) => { save({ folder: folder.trim() }); }} />
                <Button secondary onClick={() => { void telemetry.chooseFolder(null); }}>{t('Browse…')}</Button>
              </>
            )
            : <code>{settings.folder === '' ? '.empathy' : settings.folder}</code>}
        </div>
      </Setting>
      <Setting title={t('Chart colors')} text={t('The colors of the charts.')}>
        <Select label={t('Chart colors')} value={settings.chartTheme} choices={CHART_THEMES.map((theme) => ({ value: theme, label: themeText(theme) }))}
          onChange={(chartTheme) => { save({ chartTheme }); }} />
        {settings.chartTheme === 'custom' && <Colors colors={settings.chartColors} onChange={(chartColors) => { save({ chartColors }); }} />}
      </Setting>
      <div className="flex flex-col gap-2">
        <Checkbox label={t('Light mode: no charts, for slow machines')} checked={settings.light} onChange={(light) => { save({ light }); }} />
        <Checkbox label={t('Count records that were made in test runs')} checked={settings.includeTests} onChange={(includeTests) => { save({ includeTests }); }} />
      </div>
      <p className="min-h-5 text-sm text-muted" aria-live="polite">{saved ? t('Saved') : ''}</p>
      <footer className="mt-auto flex flex-wrap gap-x-4 gap-y-1 border-t border-line pt-3">
        <button type="button" className="text-button" onClick={() => { telemetry.openLink('settings'); }}>{t('All settings')}</button>
        <button type="button" className="text-button" onClick={() => { telemetry.openLink('guide'); }}>{t('Guide')}</button>
        <button type="button" className="text-button" onClick={() => { telemetry.openLink('documentation'); }}>{t('Documentation')}</button>
        <button type="button" className="text-button" onClick={() => { telemetry.openLink('report'); }}>{t('Report a problem')}</button>
      </footer>
    </Sheet>
  );
}

function Setting({ title, text, children }: { readonly title: string; readonly text: string; readonly children: ReactNode }): ReactNode {
  return (
    <section className="flex flex-col gap-1.5" aria-label={title}>
      <h3>{title}</h3>
      <p className="text-sm text-muted">{text}</p>
      {children}
    </section>
  );
}

function Colors({ colors, onChange }: { readonly colors: readonly string[]; readonly onChange: (colors: readonly string[]) => void }): ReactNode {
  return (
    <div className="flex flex-wrap items-center gap-2">
      {colors.map((color, index) => (
        <span key={index} className="inline-flex items-center">
          <input type="color" className="h-6 w-9 border border-line bg-transparent p-0" aria-label={t('Colour {0}', index + 1)} defaultValue={color}
            onBlur={(event) => { if (event.target.value !== color) onChange(colors.map((old, at) => (at === index ? event.target.value : old))); }} />
          <IconButton icon="close" label={t('Remove color {0}', index + 1)} onClick={() => { onChange(colors.filter((_, at) => at !== index)); }} />
        </span>
      ))}
      {colors.length < MOST_COLORS && <IconButton icon="add" label={t('Add a color')} onClick={() => { onChange([...colors, NEXT_COLOR]); }} />}
    </div>
  );
}

function themeText(theme: Values['chartTheme']): string {
  switch (theme) {
    case 'editor': return t('Of the editor theme');
    case 'colorblind': return t('For color-blind people');
    case 'custom': return t('My own');
  }
}
