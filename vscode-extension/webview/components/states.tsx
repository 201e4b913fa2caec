/** What is shown where there is nothing to show: a problem, nothing in the period, the first run, loading. */

import type { ReactNode } from 'react';
import { t } from '../texts';
import { Icon } from './controls';

export function Problem({ text, onRetry }: { readonly text: string; readonly onRetry: () => void }): ReactNode {
  return (
    <div className="banner error" role="alert">
      <Icon name="error" className="mt-0.5" />
      <p className="grow wrap-anywhere">{text}</p>
      <button type="button" className="text-button" onClick={onRetry}>{t('Retry')}</button>
    </div>
  );
}

/** As high as what will stand there, so that nothing jumps when it comes. */
export function Loading(): ReactNode {
  return (
    <div className="contents" role="status">
      <span className="sr-only">{t('loading')}</span>
      <div className="grid-cards">
        {['cost', 'calls', 'rate', 'latency'].map((name) => (
          <div key={name} className="card flex flex-col gap-1">
            <span className="skeleton h-[18px] w-1/3" /><span className="skeleton h-7 w-2/3" /><span className="skeleton h-[17px] w-1/2" /><span className="skeleton h-[17px] w-1/3" />
          </div>
        ))}
      </div>
      <div className="grid-main"><LoadingMain light={false} /></div>
    </div>
  );
}

/** In the place of the charts and the lists. */
export function LoadingMain({ light }: { readonly light: boolean }): ReactNode {
  return [...(light ? [] : ['cost', 'pie', 'tiers']), 'workflows', 'savings', 'feed'].map((area) => <Box key={area} area={area} height={area === 'feed' ? 'h-[560px]' : 'h-[200px]'} />);
}

function Box({ area, height }: { readonly area: string; readonly height: string }): ReactNode {
  return (
    <div className="card flex flex-col gap-3" style={{ gridArea: area }}>
      <span className="skeleton h-6 w-1/3" /><span className={`skeleton w-full ${height}`} />
    </div>
  );
}
