/** Makes what takes long to draw wait for what is drawn at once: the browser paints between the two. */

import { useEffect, useState } from 'react';
import { flushSync } from 'react-dom';

/** The value as it was when a frame was last painted with it; `first` until then. */
export function usePainted<T>(value: T, first: T): T {
  const [painted, setPainted] = useState(first);
  useEffect(() => {
    // A frame is painted when its callbacks are over; the next task comes after that. Effects run with it: they draw the charts.
    const frame = requestAnimationFrame(() => { setTimeout(() => { flushSync(() => { setPainted(() => value); }); }); });
    return () => { cancelAnimationFrame(frame); };
  }, [value]);
  return painted;
}
