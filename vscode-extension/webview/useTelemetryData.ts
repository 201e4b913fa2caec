/** The hook through which components see the data and ask for more. */

import { createContext, useContext, useSyncExternalStore } from 'react';
import type { FeedState, FeedWindow } from './feed-window';
import type { Snapshot, Telemetry } from './telemetry';

export const TelemetryContext = createContext<Telemetry | null>(null);

export function useTelemetry(): Telemetry {
  const telemetry = useContext(TelemetryContext);
  if (!telemetry) throw new Error('no telemetry: the component is outside of its provider');
  return telemetry;
}

/** What is known now, and what can be done with it. */
export function useTelemetryData(): { readonly data: Snapshot; readonly telemetry: Telemetry } {
  return { data: useShown(whole), telemetry: useTelemetry() };
}

/** A part of what is known; the component is drawn anew only when that part is another. It must select, not make. */
export function useShown<T>(select: (data: Snapshot) => T): T {
  const { subscribe, snapshot } = useTelemetry();
  return useSyncExternalStore(subscribe, () => select(snapshot()));
}

function whole(data: Snapshot): Snapshot {
  return data;
}

export function useFeed(feed: FeedWindow): FeedState {
  return useSyncExternalStore(feed.subscribe, feed.snapshot);
}
