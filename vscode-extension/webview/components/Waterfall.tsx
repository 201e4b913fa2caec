/** The steps of a run as bars over its time. */

import type { ReactNode } from 'react';
import type { RecordKey, Step } from '../../shared/protocol';
import { duration, money, named } from '../format';
import { t } from '../texts';
import { Icon } from './controls';

/** A run of thousands of steps would take seconds to draw, and nobody reads them all. */
const MOST_STEPS = 400;
const ICONS = { run: 'play-circle', stage: 'layers', call: 'sparkle' } as const;
const COLORS = { run: 'var(--vscode-charts-purple)', stage: 'var(--vscode-charts-blue)', call: 'var(--vscode-charts-green)' } as const;

interface WaterfallProps {
  readonly steps: readonly Step[];
  readonly begin: number;
  readonly duration: number;
  readonly onOpen: (key: RecordKey) => void;
}

export function Waterfall({ steps, begin, duration: whole, onOpen }: WaterfallProps): ReactNode {
  // Clocks of other processes may place a step outside of its run.
  const first = Math.min(begin, ...steps.map((step) => step.begin));
  const last = Math.max(begin + whole, ...steps.map((step) => step.end));
  const left = steps.length - MOST_STEPS;
  return (
    <>
      <ol className="flex flex-col -mx-1.5" aria-label={t('Steps of the run')}>
        {steps.slice(0, MOST_STEPS).map((step, index) => <li key={index}><Bar step={step} first={first} span={Math.max(1, last - first)} onOpen={onOpen} /></li>)}
      </ol>
      {left > 0 && <p className="text-sm text-muted">{t('{0} more steps are not shown', left)}</p>}
    </>
  );
}

function Bar({ step, first, span, onOpen }: { readonly step: Step; readonly first: number; readonly span: number; readonly onOpen: (key: RecordKey) => void }): ReactNode {
  const { key } = step;
  const className = `step text-sm ${step.here ? 'here' : ''}`;
  const failed = step.outcome === 'error';
  const title = [named(step.name), step.model, step.tier, step.cost === null ? '' : money(step.cost), outcomeText(step), step.placed ? '' : t('when it began is not recorded')]
    .filter((text) => text !== '').join(' · ');
  const content = (
    <>
      <span className="flex min-w-0 items-center gap-1.5" style={{ paddingInlineStart: Math.min(step.depth, 6) * 12 }}>
        <Icon name={failed ? 'error' : ICONS[step.kind]} className={`text-sm! ${failed ? 'text-bad' : 'text-muted'}`} />
        <span className={`truncate ${step.outcome === 'skipped' ? 'line-through text-muted' : ''}`}>{named(step.name)}</span>
        {failed && <span className="sr-only">{t('failed')}</span>}
      </span>
      <span className="track" aria-hidden="true">
        {step.outcome !== 'skipped' && (
          <span className={step.placed ? '' : 'unplaced'} style={{
            insetInlineStart: `${((step.begin - first) / span) * 100}%`, width: `${Math.max(0, (step.end - step.begin) / span) * 100}%`,
            backgroundColor: failed ? 'var(--vscode-charts-red)' : COLORS[step.kind],
          }} />
        )}
      </span>
      <span className="text-end whitespace-nowrap text-muted">{step.outcome === 'skipped' ? t('skipped') : duration(step.end - step.begin)}</span>
    </>
  );
  return key && !step.here
    ? <button type="button" className={className} title={title} onClick={() => { onOpen(key); }}>{content}</button>
    : <div className={className} title={title} {...(step.here ? { 'aria-current': true } : {})}>{content}</div>;
}

function outcomeText(step: Step): string {
  switch (step.outcome) {
    case 'ok': return t('ok');
    case 'error': return t('failed');
    case 'cancelled': return t('cancelled');
    case 'skipped': return t('skipped');
  }
}
