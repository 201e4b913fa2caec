/** The five dearest workflows; a click shows only that one. */

import type { ReactNode } from 'react';
import type { Overview } from '../../shared/protocol';
import { count, exactMoney, knownCost, money, named } from '../format';
import { t } from '../texts';
import { useShown, useTelemetry } from '../useTelemetryData';
import { Card } from './Card';

export function WorkflowList({ overview }: { readonly overview: Overview }): ReactNode {
  const telemetry = useTelemetry();
  const chosen = useShown((data) => data.view.filters.workflows);
  return (
    <Card area="workflows" title={t('Top workflows')}>
      <div className="line-row four-columns text-sm text-muted" aria-hidden="true">
        <span>{t('Workflow')}</span><span className="text-end">{t('Cost')}</span><span className="text-end">{t('Runs')}</span><span className="text-end">{t('Avg')}</span>
      </div>
      <ol>
        {overview.workflows.map((workflow) => {
          const name = named(workflow.name);
          return (
            <li key={workflow.name}>
              <button type="button" className={`line-row four-columns ${chosen.includes(workflow.name) ? 'chosen' : ''}`} aria-pressed={chosen.includes(workflow.name)}
                title={t('Show only {0}', name)}
                onClick={() => { telemetry.setFilters({ workflows: chosen.length === 1 && chosen[0] === workflow.name ? [] : [workflow.name] }); }}>
                <span className="truncate">{name}</span>
                <span className="text-end" title={exactMoney(knownCost(workflow))}><span className="sr-only">{t('Cost')} </span>{money(knownCost(workflow))}</span>
                <span className="text-end"><span className="sr-only">{t('Runs')} </span>{count(workflow.runs)}</span>
                <span className="text-end" title={workflow.averageCost === null ? t('No runs, or not all of their calls are shown') : exactMoney(workflow.averageCost)}>
                  <span className="sr-only">{t('Average cost of a run')} </span>{workflow.averageCost === null ? '–' : money(workflow.averageCost)}
                </span>
              </button>
            </li>
          );
        })}
      </ol>
    </Card>
  );
}
