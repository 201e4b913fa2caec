/** The heading: which folder is shown, whether it is live, and what can be done. */

import type { ReactNode } from 'react';
import type { Snapshot } from '../telemetry';
import { t } from '../texts';
import { useTelemetryData } from '../useTelemetryData';
import { Icon, IconButton, Select } from './controls';

export function Toolbar(): ReactNode {
  const { data, telemetry } = useTelemetryData();
  const source = data.overview.data?.source;
  const loading = data.overview.loading || data.page.loading;
  return (
    <div className="flex items-center gap-2 min-h-7">
      <h1 className="min-w-0 truncate" title={source?.path ?? ''}>{source && source.choices.length > 1 ? <span className="sr-only">{t('Telemetry')}</span> : (source?.label ?? t('Telemetry'))}</h1>
      {source && source.choices.length > 1 && (
        <Select label={t('Folder')} value={source.path} choices={source.choices.map(({ path, label }) => ({ value: path, label }))}
          onChange={(path) => { void telemetry.chooseFolder(path); }} />
      )}
      <Live data={data} />
      <span className="grow" />
      {data.news && (
        <button type="button" className="chip shrink-0 pe-2!" onClick={() => { void telemetry.renew(); }}>
          <Icon name="sync" /> {t('New records')}
        </button>
      )}
      <div className="flex items-center gap-0.5 shrink-0" role="group" aria-label={t('Actions')}>
        <IconButton icon={loading ? 'refresh codicon-modifier-spin' : 'refresh'} label={t('Refresh')} onClick={() => { void telemetry.refresh(); }} />
        <IconButton icon="export" label={t('Export as CSV')} disabled={!source} onClick={() => { void telemetry.export(); }} />
        <IconButton icon="archive" label={t('Clear history')} disabled={!source} onClick={() => { void telemetry.clear(); }} />
        <IconButton icon="settings-gear" label={t('Settings')} disabled={!data.settings} onClick={() => { telemetry.openSettings(); }} />
      </div>
    </div>
  );
}

function Live({ data }: { readonly data: Snapshot }): ReactNode {
  if (!data.settings || !data.overview.data || data.overview.data.source.state === 'unreadable') return null;
  const [tone, text, hint] = data.overview.problem !== null
    ? ['', t('Offline'), t('The last look at the records failed')]
    : data.news
      ? ['paused', t('Paused'), t('New records are shown when you are done')]
      : data.settings.refreshSeconds === 0
        ? ['', t('Manual'), t('Shown as of the last refresh')]
        : ['on', t('Live'), t('New records are shown as they are written, and looked for every {0} s', data.settings.refreshSeconds)];
  return (
    <span className="inline-flex items-center gap-1.5 text-sm text-muted shrink-0" title={hint}>
      <span className={`live ${tone}`} aria-hidden="true" />{text}
    </span>
  );
}
