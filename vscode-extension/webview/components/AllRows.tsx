/** All rows of the view as one virtual list, which asks for what one scrolls to. */

import type { CSSProperties, ReactElement, ReactNode } from 'react';
import { useEffect, useEffectEvent } from 'react';
import { List, useListRef } from 'react-window';
import type { FeedState, FeedWindow } from '../feed-window';
import { useTelemetry } from '../useTelemetryData';
import type { RowActions } from './FeedRow';
import { COMPACT_HEIGHT, FeedRow, ROW_HEIGHT } from './FeedRow';

/** Browsers cannot lay out anything higher than about 33 million pixels. */
const HIGHEST = 30_000_000;
/** Scrolling is over when nothing moved for this long. */
const REST_MS = 800;

interface AllRowsProps {
  /** The element that scrolls. */
  readonly scroller: HTMLElement | null;
  /** Another object whenever rows came, so that the list draws them. */
  readonly listed: FeedState;
  readonly active: number;
  readonly compact: boolean;
  readonly now: number;
  readonly actions: RowActions;
  readonly rowId: (index: number) => string;
}

interface RowProps extends Pick<AllRowsProps, 'listed' | 'active' | 'compact' | 'now' | 'actions' | 'rowId'> {
  readonly feed: FeedWindow;
}

export function AllRows({ scroller, listed, active, compact, now, actions, rowId }: AllRowsProps): ReactNode {
  const telemetry = useTelemetry();
  const total = listed.total ?? 0;
  const list = useListRef(null);
  const height = compact ? COMPACT_HEIGHT : ROW_HEIGHT;

  // Nothing moves under somebody who scrolls, or reads further down.
  useEffect(() => {
    if (!scroller) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const rest = (): void => { telemetry.setBusy('scrolling', false); };
    const onScroll = (): void => {
      telemetry.setBusy('away', scroller.scrollTop > height);
      telemetry.setBusy('scrolling', true);
      clearTimeout(timer);
      timer = setTimeout(rest, REST_MS);
    };
    scroller.addEventListener('scroll', onScroll, { passive: true });
    return () => {
      scroller.removeEventListener('scroll', onScroll);
      clearTimeout(timer);
      rest();
      telemetry.setBusy('away', false);
    };
  }, [scroller, telemetry, height]);

  const show = useEffectEvent((index: number) => {
    if (index < total) list.current?.scrollToRow({ index, align: 'auto' });
  });
  useEffect(() => { show(active); }, [active]);

  return (
    <List<RowProps>
      listRef={list} scrollElement={scroller} role="rowgroup" className="feed-body" defaultHeight={640}
      rowCount={Math.min(total, Math.floor(HIGHEST / height))} rowHeight={height} overscanCount={8}
      rowComponent={VirtualRow} rowProps={{ feed: telemetry.feed, listed, active, compact, now, actions, rowId }}
      onRowsRendered={(_visible, { startIndex, stopIndex }) => { telemetry.feed.want(startIndex, stopIndex); }}
    />
  );
}

function VirtualRow({ index, style, feed, active, compact, now, actions, rowId }: RowProps & { readonly index: number; readonly style: CSSProperties }): ReactElement {
  return <FeedRow id={rowId(index)} index={index} row={feed.row(index)} active={index === active} compact={compact} now={now} actions={actions} style={style} />;
}
