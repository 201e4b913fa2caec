/** A dataset that holds what a test gives it, and fails where it says so. */

import type { Overview, Row } from '../../../shared/protocol';
import type { Dataset } from '../../../src/data';

export const ROW: Row = {
  key: { segment: 'llm_calls.jsonl', offset: 0 }, time: Date.UTC(2026, 0, 2), workflow: 'review', stage: 'analyze', provider: 'openai',
  model: 'gpt-5-mini', tier: 'cheap', cost: 0.5, input: 10, output: 5, outcome: 'ok', error: '', latency: 100,
};

export class FakeDataset {
  revision = 1;
  state_: 'ready' | 'missing' | 'unreadable' = 'ready';
  /** What the next looks find. */
  news = false;
  fails: Error | null = null;
  looks = 0;
  closed = false;
  asked: unknown[] = [];
  line_ = '{"call_id":"1","password":"hunter2"}';
  code: { file: string; line: number } | null = null;
  olderCalls = 0;
  refreshing: Promise<void> | null = null;

  constructor(readonly folder: string) {}

  get reading() {
    return { revision: this.revision, records: 1234, notes: { skippedLines: 0, duplicates: 0, tests: 0 } };
  }
  state() {
    return { state: this.state_, problem: null };
  }
  async refresh(progress?: (done: number) => void): Promise<boolean> {
    this.looks += 1;
    await this.refreshing;
    this.check();
    progress?.(0.5);
    const { news } = this;
    this.news = false;
    if (news) this.revision += 1;
    return news;
  }
  overview(...asked: unknown[]): Omit<Overview, 'source' | 'alerts' | 'page'> {
    this.check();
    this.asked.push(asked);
    return { revision: this.revision, records: 1234 } as Overview;
  }
  page(...asked: unknown[]) {
    this.check();
    this.asked.push(asked);
    return { revision: this.revision, total: 1, offset: 0, rows: [ROW] };
  }
  async detail(key: unknown) {
    this.check();
    this.asked.push(key);
    return { row: ROW, facts: [], steps: [], run: null, code: this.code };
  }
  async line(key: unknown): Promise<string> {
    this.check();
    this.asked.push(key);
    return this.line_;
  }
  async *rows(): AsyncIterable<readonly Row[]> {
    this.check();
    yield [ROW, ROW];
  }
  costOf({ name }: { name: string }) {
    this.check();
    return { cost: 1.25, calls: name === 'custom' ? this.olderCalls : 7, unknownCost: 2 };
  }
  async save(): Promise<void> {
    this.check();
  }
  async close(): Promise<void> {
    this.closed = true;
  }

  private check(): void {
    if (this.fails) throw this.fails;
  }
}

export function asDataset(fake: FakeDataset): Dataset {
  return fake as unknown as Dataset;
}
