/** The rows of the "All" list: asked for in portions as one scrolls, the far ones forgotten. */

import type { Page, Row } from '../shared/protocol';

/** Rows asked for at once; well below MOST_ROWS, so that the first ones are quickly there. */
export const PORTION = 200;
const MOST_PORTIONS = 40;
/** A scroll bar that is dragged passes thousands of rows which nobody reads. */
const PAUSE_MS = 40;

interface Portion {
  readonly rows: readonly Row[];
  readonly generation: number;
}

export interface FeedState {
  /** null until the first answer. */
  readonly total: number | null;
  readonly problem: string | null;
}

export class FeedWindow {
  private state: FeedState = { total: null, problem: null };
  private portions = new Map<number, Portion>();
  private generation = 0;
  private looking = false;
  private readonly underWay = new Set<string>();
  private wanted: { readonly first: number; readonly last: number } = { first: 0, last: 0 };
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly ask: (offset: number, limit: number) => Promise<Page>) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  };
  readonly snapshot = (): FeedState => this.state;

  /** undefined where the row has not arrived. */
  row(index: number): Row | undefined {
    return this.portions.get(Math.floor(index / PORTION))?.rows[index % PORTION];
  }

  /** Whether the list is shown; otherwise nothing is asked for, and nothing kept. */
  look(on: boolean): void {
    if (on === this.looking) return;
    this.looking = on;
    this.reset();
  }

  /** Rows that are on the screen, first and last. */
  want(first: number, last: number): void {
    this.wanted = { first, last };
    if (!this.looking) return;
    if (this.state.total === null) {
      this.fetch();
      return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.fetch(); }, PAUSE_MS);
  }

  /** The data changed: what is there stays until the new rows come. */
  renew(): void {
    this.generation += 1;
    if (this.looking) this.fetch();
  }

  /** Another view or order: nothing of the old rows holds. */
  reset(): void {
    this.portions = new Map();
    this.wanted = { first: 0, last: 0 };
    this.set({ total: null, problem: null });
    this.renew();
  }

  close(): void {
    this.looking = false;
    clearTimeout(this.timer);
    this.generation += 1;
  }

  private fetch(): void {
    const last = Math.floor(this.wanted.last / PORTION);
    for (let portion = Math.floor(this.wanted.first / PORTION); portion <= last; portion += 1) void this.fetchPortion(portion);
  }

  private async fetchPortion(portion: number): Promise<void> {
    const { generation } = this;
    const mark = `${generation}:${portion}`;
    if (this.portions.get(portion)?.generation === generation || this.underWay.has(mark)) return;
    this.underWay.add(mark);
    try {
      const page = await this.ask(portion * PORTION, PORTION);
      if (generation !== this.generation) return;
      this.portions.set(portion, { rows: page.rows, generation });
      this.forgetFar(portion);
      this.set({ total: page.total, problem: null });
    } catch (error) {
      if (generation === this.generation) this.set({ ...this.state, problem: error instanceof Error ? error.message : String(error) });
    } finally {
      this.underWay.delete(mark);
    }
  }

  private forgetFar(from: number): void {
    if (this.portions.size <= MOST_PORTIONS) return;
    const farthest = [...this.portions.keys()].reduce((far, portion) => (Math.abs(portion - from) > Math.abs(far - from) ? portion : far));
    this.portions.delete(farthest);
  }

  private set(state: FeedState): void {
    this.state = state;
    for (const listener of this.listeners) listener();
  }
}
