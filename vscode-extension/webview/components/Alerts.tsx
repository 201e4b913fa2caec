/** The alerts that are firing now, and whether anybody watches. */

import type { ReactNode } from 'react';
import type { AlertsState, FiringAlert } from '../../shared/protocol';
import { ago, fullTime } from '../format';
import { plural, t } from '../texts';
import { Icon } from './controls';

const WATCH = 'empathy alerts watch';

/** Nothing where no watcher ever ran: who has no alerts is not to be bothered with them. */
export function Alerts({ alerts, now }: { readonly alerts: AlertsState; readonly now: number }): ReactNode {
  switch (alerts.state) {
    case 'none':
      return null;
    case 'unreadable':
      return <Line icon="warning" tone="warn" text={t('The state of the alerts cannot be read: {0}', alerts.problem)} />;
    case 'stale':
      return <Line icon="warning" tone="warn" text={t('Alert watcher not running: last check {0}. Start it with "{1}".', ago(alerts.evaluatedAt, now), WATCH)} title={fullTime(alerts.evaluatedAt)} />;
    case 'running':
      return <Running alerts={alerts} now={now} />;
  }
}

function Running({ alerts, now }: { readonly alerts: Extract<AlertsState, { state: 'running' | 'stale' }>; readonly now: number }): ReactNode {
  const loud = alerts.firing.filter((alert) => !alert.silenced);
  const quiet = alerts.firing.length - loud.length;
  return (
    <section aria-label={t('Alerts')} className="flex flex-col gap-2">
      {loud.length > 0 && (
        <div className="banner error" role="alert">
          <ul className="flex flex-col gap-1.5">
            {loud.map((alert) => <Firing key={`${alert.rule} ${JSON.stringify(alert.labels)}`} alert={alert} now={now} />)}
          </ul>
        </div>
      )}
      {alerts.faults.map((fault) => <Line key={fault} icon="warning" tone="warn" text={fault} />)}
      <p className="flex items-start gap-1.5 text-sm text-muted" title={fullTime(alerts.evaluatedAt)}>
        <Icon name={loud.length > 0 ? 'bell-dot' : 'bell'} className="text-sm! mt-0.5" />
        {[
          loud.length === 0 ? t('No alerts firing') : plural(loud.length, '1 alert firing', '{0} alerts firing'),
          ...(alerts.pending > 0 ? [t('{0} pending', alerts.pending)] : []),
          ...(quiet > 0 ? [t('{0} silenced', quiet)] : []),
          plural(alerts.rules, '1 rule', '{0} rules'),
          t('checked {0}', ago(alerts.evaluatedAt, now)),
        ].join(' · ')}
      </p>
    </section>
  );
}

function Firing({ alert, now }: { readonly alert: FiringAlert; readonly now: number }): ReactNode {
  const labels = Object.entries(alert.labels).map(([name, value]) => `${name}=${value}`).join(', ');
  return (
    <li className="flex items-start gap-2">
      <Icon name={alert.severity === 'critical' ? 'flame' : 'bell-dot'} className="mt-0.5" />
      <p className="min-w-0 wrap-anywhere">
        <strong className="font-semibold">{alert.rule}</strong>{' '}
        {alert.severity !== '' && <>({alert.severity}) </>}
        {alert.condition}{labels !== '' && <> · {labels}</>}
        {alert.value !== null && <> · {t('now {0}', Number(alert.value.toPrecision(4)))}</>}
        {alert.since !== null && <> · {t('since {0}', ago(alert.since, now))}</>}
      </p>
    </li>
  );
}

function Line({ icon, tone, text, title = '' }: { readonly icon: string; readonly tone: string; readonly text: string; readonly title?: string }): ReactNode {
  return <div className={`banner ${tone}`} role="status" title={title}><Icon name={icon} className="mt-0.5" /><p className="wrap-anywhere">{text}</p></div>;
}
