/** The whole panel: heading, filters, and under them what the data allow to show. */

import type { ReactNode } from 'react';
import { memo } from 'react';
import type { Overview, Settings } from '../../shared/protocol';
import { t } from '../texts';
import { usePalette } from '../usePalette';
import { usePainted } from '../usePainted';
import { useShown, useTelemetry } from '../useTelemetryData';
import { ActivityFeed } from './ActivityFeed';
import { Alerts } from './Alerts';
import { Icon } from './controls';
import { CostChart } from './CostChart';
import { Detail } from './Detail';
import { ErrorBoundary } from './ErrorBoundary';
import { FilterBar } from './FilterBar';
import { FirstRun, NothingHere, Unreadable } from './nothing';
import { NotesLine } from './NotesLine';
import { OverviewStats } from './OverviewStats';
import { ProviderPie } from './ProviderPie';
import { Savings } from './Savings';
import { Settings as SettingsSheet } from './Settings';
import { Loading, LoadingMain, Problem } from './states';
import { TierBars } from './TierBars';
import { Toolbar } from './Toolbar';
import { WorkflowList } from './WorkflowList';

export function TelemetryPanel(): ReactNode {
  const telemetry = useTelemetry();
  const overview = useShown((data) => data.overview.data);
  const problem = useShown((data) => data.hello.problem ?? data.overview.problem);
  const greeted = useShown((data) => data.hello.data !== null);
  const notice = useShown((data) => data.notice);
  const reading = useShown((data) => data.reading);
  const settings = useShown((data) => data.settings);
  const sheet = useShown((data) => data.sheet);
  const retry = (): void => { void (greeted ? telemetry.renew() : telemetry.start()); };
  return (
    <main className="page">
      <header className="top flex flex-col gap-2">
        <Toolbar />
        {greeted && <FilterBar />}
        {reading !== null && (
          <div className="absolute inset-x-0 bottom-0" role="progressbar" aria-label={t('Reading the records')} aria-valuenow={Math.round(reading * 100)} aria-valuemin={0} aria-valuemax={100}>
            <div className="progress" style={{ transform: `scaleX(${reading})` }} />
          </div>
        )}
      </header>
      <div className="content">
        {notice && (
          <div className={`banner ${notice.kind === 'error' ? 'error' : ''}`} role={notice.kind === 'error' ? 'alert' : 'status'}>
            <Icon name={notice.kind === 'error' ? 'error' : 'info'} className="mt-0.5" />
            <p className="grow wrap-anywhere">{notice.text}</p>
            <button type="button" className="text-button" onClick={() => { telemetry.dismiss(); }}>{t('Dismiss')}</button>
          </div>
        )}
        {overview && problem !== null && <Problem text={problem} onRetry={retry} />}
        {overview ? <Body overview={overview} /> : problem === null ? <Loading /> : <Unreadable text={problem} onRetry={retry} />}
      </div>
      {sheet?.name === 'detail' && <Detail key="detail" recordKey={sheet.key} />}
      {sheet?.name === 'settings' && settings && <SettingsSheet settings={settings} />}
    </main>
  );
}

function Body({ overview }: { readonly overview: Overview }): ReactNode {
  const telemetry = useTelemetry();
  const view = useShown((data) => data.view);
  const settings = useShown((data) => data.settings);
  // When the panel opens, the cards are seen first.
  const isBegun = usePainted(true, false);
  const { path, state, problem } = overview.source;
  if (state === 'unreadable') return <Unreadable text={problem === null ? path : `${path}: ${problem}`} onRetry={() => { void telemetry.refresh(); }} />;
  if (overview.records === 0) return <FirstRun source={overview.source} />;
  if (overview.totals.calls === 0) return <NothingHere view={view} />;
  return (
    <>
      <ErrorBoundary><Alerts alerts={overview.alerts} now={overview.readAt} /></ErrorBoundary>
      <ErrorBoundary><OverviewStats overview={overview} range={view.range.name} /></ErrorBoundary>
      {settings && (
        <div className={`grid-main ${settings.light ? 'light' : ''}`}>
          {isBegun ? <><Groups overview={overview} settings={settings} /><ErrorBoundary><ActivityFeed /></ErrorBoundary></> : <LoadingMain light={settings.light} />}
        </div>
      )}
      <NotesLine notes={overview.notes} includeTests={settings?.includeTests ?? false} />
    </>
  );
}

/** They are drawn anew behind the cards and the list: what changed there is seen a frame earlier. */
const Groups = memo(function Groups({ overview: latest, settings }: { readonly overview: Overview; readonly settings: Settings }): ReactNode {
  const palette = usePalette(settings);
  const overview = usePainted(latest, latest);
  return (
    <>
      {!settings.light && (
        <>
          <ErrorBoundary><CostChart overview={overview} palette={palette} /></ErrorBoundary>
          <ErrorBoundary><ProviderPie overview={overview} palette={palette} /></ErrorBoundary>
          <ErrorBoundary><TierBars overview={overview} palette={palette} /></ErrorBoundary>
        </>
      )}
      <ErrorBoundary><WorkflowList overview={overview} /></ErrorBoundary>
      <ErrorBoundary><Savings overview={overview} palette={palette} /></ErrorBoundary>
    </>
  );
});
