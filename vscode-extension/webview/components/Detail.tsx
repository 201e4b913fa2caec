/** All that is known of one call, and the run that it belongs to. */

import type { ReactNode } from 'react';
import type { Detail as Details, RecordKey } from '../../shared/protocol';
import { OUTCOME_ICON, OUTCOME_TEXT, OUTCOME_TONE } from '../columns';
import { count, duration, exactMoney, fullTime, money, named, tokens } from '../format';
import { t } from '../texts';
import { useTelemetryData } from '../useTelemetryData';
import { Button, Icon } from './controls';
import { Sheet } from './Sheet';
import { Problem } from './states';
import { Waterfall } from './Waterfall';

export function Detail({ recordKey }: { readonly recordKey: RecordKey }): ReactNode {
  const { data: { detail }, telemetry } = useTelemetryData();
  const known = detail.data;
  const title = known ? (known.row.stage ? `${named(known.row.workflow)} › ${known.row.stage}` : named(known.row.workflow)) : t('Call');
  return (
    <Sheet title={title} onClose={() => { telemetry.closeSheet(); }}>
      {detail.problem !== null && <Problem text={detail.problem} onRetry={() => { telemetry.openDetail(recordKey); }} />}
      {known ? <Known detail={known} /> : detail.problem === null && <Placeholder />}
    </Sheet>
  );
}

function Known({ detail }: { readonly detail: Details }): ReactNode {
  const { telemetry } = useTelemetryData();
  const { row, facts, run, steps, code } = detail;
  return (
    <>
      <div className="flex flex-col gap-3">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className={`status ${OUTCOME_TONE[row.outcome]}`}><Icon name={OUTCOME_ICON[row.outcome]} />{t(OUTCOME_TEXT[row.outcome])}</span>
          <span>{named(row.provider)} · {named(row.model)} · {named(row.tier)}</span>
          <span className="text-muted">{fullTime(row.time)}</span>
        </p>
        {row.error !== '' && <p className="banner error wrap-anywhere whitespace-pre-wrap">{row.error}</p>}
        <dl className="grid grid-cols-[repeat(auto-fit,minmax(116px,1fr))] gap-2">
          <Fact name={t('Cost')} value={money(row.cost)} title={exactMoney(row.cost)} />
          <Fact name={t('Tokens')} value={`${tokens(row.input)} / ${tokens(row.output)}`} title={t('{0} tokens in, {1} out', count(row.input), count(row.output))} />
          <Fact name={t('Latency')} value={duration(row.latency)} title={t('{0} ms', count(row.latency))} />
        </dl>
        <div className="flex flex-wrap gap-2">
          <Button icon="go-to-file" onClick={() => { void telemetry.openCode(row.key); }}>{code ? t('Open code') : t('Find code')}</Button>
          <Button secondary icon="json" onClick={() => { void telemetry.openRecord(row.key); }}>{t('Show record')}</Button>
        </div>
        {code && <p className="text-sm text-muted wrap-anywhere">{code.file}:{code.line}</p>}
      </div>
      {run && (
        <section className="flex flex-col gap-2" aria-label={t('Run')}>
          <h3>{t('Run: {0}', named(run.name))}</h3>
          <p className="text-sm text-muted">{[duration(run.duration), money(run.cost), fullTime(run.begin)].join(' · ')}</p>
          <Waterfall steps={steps} begin={run.begin} duration={run.duration} onOpen={(key) => { telemetry.openDetail(key); }} />
        </section>
      )}
      <section className="flex flex-col gap-2" aria-label={t('All fields')}>
        <h3>{t('All fields')}</h3>
        <dl className="facts">
          {facts.map(({ name, value }) => <div key={name} className="contents"><dt>{name}</dt><dd>{value}</dd></div>)}
        </dl>
      </section>
    </>
  );
}

function Fact({ name, value, title }: { readonly name: string; readonly value: string; readonly title: string }): ReactNode {
  return (
    <div className="card py-2! flex flex-col gap-0.5">
      <dt className="text-sm text-muted">{name}</dt>
      <dd className="text-lg font-semibold truncate" title={title}>{value}</dd>
    </div>
  );
}

function Placeholder(): ReactNode {
  return (
    <div className="flex flex-col gap-3" role="status">
      <span className="sr-only">{t('loading')}</span>
      <span className="skeleton h-5 w-2/3" /><span className="skeleton h-16 w-full" /><span className="skeleton h-7 w-1/2" /><span className="skeleton h-40 w-full" />
    </div>
  );
}
