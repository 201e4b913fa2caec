/** Previous, the numbers of the pages, Next. */

import type { ReactNode } from 'react';
import { count } from '../format';
import { t } from '../texts';
import { Icon } from './controls';

interface PagerProps {
  /** From 0. */
  readonly page: number;
  readonly pages: number;
  readonly compact: boolean;
  readonly onTurn: (page: number) => void;
}

export function Pager({ page, pages, compact, onTurn }: PagerProps): ReactNode {
  return (
    <nav className="flex items-center gap-0.5" aria-label={t('Pages')}>
      <button type="button" className="page-button inline-flex items-center gap-1" disabled={page <= 0} onClick={() => { onTurn(page - 1); }}>
        <Icon name="chevron-left" /><span className={compact ? 'sr-only' : ''}>{t('Previous')}</span>
      </button>
      {numbersAround(page, pages, compact ? 1 : 2).map((number, index) => (
        number === null
          ? <span key={`gap${index}`} className="text-muted" aria-hidden="true">…</span>
          : (
            <button key={number} type="button" className="page-button" aria-label={t('Page {0}', number + 1)}
              {...(number === page ? { 'aria-current': 'page' as const } : {})} onClick={() => { onTurn(number); }}>
              {count(number + 1)}
            </button>
          )
      ))}
      <button type="button" className="page-button inline-flex items-center gap-1" disabled={page >= pages - 1} onClick={() => { onTurn(page + 1); }}>
        <span className={compact ? 'sr-only' : ''}>{t('Next')}</span><Icon name="chevron-right" />
      </button>
    </nav>
  );
}

/** First, last, and those around this one; null is a gap. Always as many as long as there are enough, so nothing jumps. */
export function numbersAround(page: number, pages: number, reach: number): (number | null)[] {
  const shown = reach * 2 + 3;
  if (pages <= shown + 1) return Array.from({ length: pages }, (_, index) => index);
  const first = Math.min(Math.max(page - reach, 1), pages - 2 - reach * 2);
  const middle = Array.from({ length: reach * 2 + 1 }, (_, index) => first + index);
  const begin = first > 1 ? [0, null] : [0];
  const end = first + reach * 2 < pages - 2 ? [null, pages - 1] : [pages - 1];
  return [...begin, ...middle, ...end];
}
