/** No calls to show: because none was ever recorded, none fits, or the folder cannot be read. */

import type { ReactNode } from 'react';
import type { Source, View } from '../../shared/protocol';
import { NO_FILTERS } from '../../shared/protocol';
import { t } from '../texts';
import { useTelemetry, useTelemetryData } from '../useTelemetryData';
import { Button, Icon, IconButton } from './controls';
import { countOf } from './FilterBar';

const INSTALL = 'pip install attune-monitoring';
const CODE = 'from attune_monitoring import instrument\ninstrument()';

export function FirstRun({ source }: { readonly source: Source }): ReactNode {
  const telemetry = useTelemetry();
  return (
    <section className="mx-auto flex w-full max-w-[560px] flex-col gap-4 py-6" aria-labelledby="first-run">
      <header className="flex flex-col gap-1">
        <h2 id="first-run" className="text-lg">{t('No calls recorded yet')}</h2>
        <p className="text-muted wrap-anywhere">{source.state === 'missing' ? t('The folder {0} is not there yet: it is made with the first call.', source.path) : t('The folder {0} holds no records.', source.path)}</p>
      </header>
      <ol className="flex flex-col gap-4">
        <Step number={1} title={t('Install the package')}><Code text={INSTALL} /></Step>
        <Step number={2} title={t('Put two lines at the start of your program')}><Code text={CODE} /></Step>
        <Step number={3} title={t('Run your program')}><p className="text-muted">{t('Its calls appear here by themselves, with their cost. Nothing leaves this machine.')}</p></Step>
      </ol>
      <footer className="flex flex-wrap gap-2">
        <Button onClick={() => { telemetry.openLink('documentation'); }}>{t('Open the documentation')}</Button>
        <Button secondary onClick={() => { telemetry.openSettings(); }}>{t('Use another folder')}</Button>
      </footer>
    </section>
  );
}

function Step({ number, title, children }: { readonly number: number; readonly title: string; readonly children: ReactNode }): ReactNode {
  return (
    <li className="flex gap-3">
      <span className="inline-flex size-6 shrink-0 items-center justify-center rounded-full border border-line" aria-hidden="true">{number}</span>
      <div className="flex min-w-0 grow flex-col gap-1.5 pt-0.5"><h3>{title}</h3>{children}</div>
    </li>
  );
}

function Code({ text }: { readonly text: string }): ReactNode {
  return (
    <div className="flex items-start gap-2 rounded-card border border-line bg-code px-3 py-1.5">
      <pre className="m-0 min-w-0 grow py-1"><code>{text}</code></pre>
      <IconButton icon="copy" label={t('Copy')} onClick={() => { void navigator.clipboard.writeText(text); }} />
    </div>
  );
}

export function NothingHere({ view }: { readonly view: View }): ReactNode {
  const telemetry = useTelemetry();
  const filtered = countOf(view.filters) > 0;
  return (
    <section className="flex flex-col items-center gap-3 py-12 text-center" role="status">
      <Icon name={filtered ? 'filter' : 'calendar'} className="text-muted text-[28px]!" />
      <h2>{filtered ? t('No call matches these filters') : t('No calls in this period')}</h2>
      <div className="flex flex-wrap justify-center gap-2">
        {filtered && <Button onClick={() => { telemetry.setFilters(NO_FILTERS); }}>{t('Clear the filters')}</Button>}
        {view.range.name !== 'all' && <Button secondary={filtered} onClick={() => { telemetry.setRange({ name: 'all' }); }}>{t('Show all time')}</Button>}
      </div>
    </section>
  );
}

/** There is nothing at all to show, and this is why. */
export function Unreadable({ text, onRetry }: { readonly text: string; readonly onRetry: () => void }): ReactNode {
  const { data: { settings }, telemetry } = useTelemetryData();
  return (
    <section className="flex flex-col items-center gap-3 py-12 text-center" role="alert">
      <Icon name="error" className="text-bad text-[28px]!" />
      <h2>{t('The records cannot be read')}</h2>
      <p className="text-muted wrap-anywhere max-w-[560px]">{text}</p>
      <div className="flex flex-wrap justify-center gap-2">
        <Button onClick={onRetry}>{t('Retry')}</Button>
        {settings && <Button secondary onClick={() => { telemetry.openSettings(); }}>{t('Use another folder')}</Button>}
      </div>
    </section>
  );
}
