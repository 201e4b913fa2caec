/** Makes what takes long to draw wait for what is drawn at once: the browser paints, and answers who clicks, between the two. */

import { useEffect, useState } from 'react';
import { flushSync } from 'react-dom';

/** Of the Prioritized Task Scheduling API (WICG), which not every browser of VS Code for the Web has. */
declare const scheduler: { postTask(work: () => void, options: { readonly priority: 'background'; readonly signal: AbortSignal }): Promise<void> } | undefined;

/** The value as it was when a frame was last painted with it; `first` until then. */
export function usePainted<T>(value: T, first: T): T {
  const [painted, setPainted] = useState(first);
  useEffect(() => {
    const superseded = new AbortController();
    // A frame is painted when its callbacks are over; tasks come after that. Effects run with it: they draw the charts.
    const frame = requestAnimationFrame(() => { whenFree(() => { flushSync(() => { setPainted(() => value); }); }, superseded.signal); });
    return () => {
      cancelAnimationFrame(frame);
      superseded.abort();
    };
  }, [value]);
  return painted;
}

/** Runs it when nothing waits that somebody did or that was answered; not at all where it was overtaken by then. */
function whenFree(work: () => void, signal: AbortSignal): void {
  if (typeof scheduler === 'undefined') setTimeout(() => { if (!signal.aborted) work(); });
  else scheduler.postTask(work, { priority: 'background', signal }).catch((error: unknown) => { if (!signal.aborted) reportError(error); });
}
