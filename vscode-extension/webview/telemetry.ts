/** What the panel shows and how it comes by it: the view state, the answers of the host, and when to ask again. */

import { Asking } from '../shared/conversation';
import type {
  Answer, Answers, Detail, Filters, Hello, HelloQuestion, OpenLinkQuestion, Overview, Page, Question, Range, RecordKey, Rows, Settings, Slice,
  Sort, ToHost, Told, ToWebview, View,
} from '../shared/protocol';
import { NEWEST_FIRST, NO_FILTERS } from '../shared/protocol';
import { FeedWindow } from './feed-window';
import type { Kept } from './kept';
import { helloOf, PAGE_ROWS, readKept, rowsOf } from './kept';
import { setTexts, t } from './texts';

/** An answer as it comes; `data` stays the last good one while another is under way or was refused. */
export interface Loaded<T> {
  readonly data: T | null;
  readonly problem: string | null;
  readonly loading: boolean;
}

export type Busy = 'typing' | 'scrolling' | 'menu' | 'away';
export type Sheet = { readonly name: 'settings' } | { readonly name: 'detail'; readonly key: RecordKey } | null;

export interface Notice {
  readonly kind: 'done' | 'error';
  readonly text: string;
}

export interface Snapshot {
  readonly hello: Loaded<Hello>;
  readonly settings: Settings | null;
  readonly view: View;
  readonly slice: Slice | null;
  readonly sort: Sort;
  readonly offset: number;
  readonly all: boolean;
  readonly sheet: Sheet;
  readonly overview: Loaded<Overview>;
  readonly page: Loaded<Page>;
  readonly detail: Loaded<Detail>;
  /** 0 to 1 while a cold read goes on. */
  readonly reading: number | null;
  /** There is something new that waits until nobody is busy. */
  readonly news: boolean;
  readonly notice: Notice | null;
}

/** The part of VS Code's page API that is used. */
export interface Editor {
  postMessage(message: ToHost): unknown;
  getState(): unknown;
  setState(state: Kept): unknown;
}

const NOTHING = { data: null, problem: null, loading: false } as const;
const START: Snapshot = {
  hello: { ...NOTHING, loading: true }, settings: null,
  view: { range: { name: '7d' }, filters: NO_FILTERS }, slice: null, sort: NEWEST_FIRST, offset: 0, all: false, sheet: null,
  overview: { ...NOTHING, loading: true }, page: { ...NOTHING, loading: true }, detail: NOTHING,
  reading: null, news: false, notice: null,
};

export class Telemetry {
  readonly feed: FeedWindow;
  private state: Snapshot = START;
  private readonly listeners = new Set<() => void>();
  private readonly asking: Asking;
  private readonly busy = new Set<Busy>();
  /** Counts what was asked of each kind, so that an answer which was overtaken is dropped. */
  private readonly asked = { hello: 0, overview: 0, page: 0, detail: 0 };
  /** The latest revision that the host told of. */
  private told = 0;

  constructor(private readonly editor: Editor) {
    this.asking = new Asking((message) => editor.postMessage(message), (told) => { this.hear(told); });
    this.feed = new FeedWindow((offset, limit) => this.ask({ type: 'page', view: this.state.view, sort: this.state.sort, offset, limit }));
  }

  // Arrow functions: React keeps and compares them.
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  };
  readonly snapshot = (): Snapshot => this.state;

  receive(message: ToWebview): void {
    this.asking.receive(message);
  }

  close(): void {
    this.feed.close();
    this.asking.close();
  }

  /**
   * Say hello, and show what was looked at last: here, else as the host remembers it. Resolves when hello was answered.
   *
   * said: the id under which it was said already.
   */
  async start(said?: number): Promise<void> {
    const kept = readKept(this.editor.getState());
    if (kept) this.set(kept);
    const answer = said === undefined ? this.ask(helloOf(kept)) : this.asking.answerTo<HelloQuestion>(said);
    await this.load('hello', answer, (hello) => {
      setTexts(hello.texts, hello.locale);
      this.set({ settings: hello.settings, ...(kept ? {} : { view: hello.view, slice: hello.slice }) });
      this.feed.look(this.state.all);
      if (hello.overview) this.take(hello.overview);
      if (!hello.overview || hello.overview.revision < this.told) void this.renew();
    });
  }

  /** Ask again for all that is shown. */
  async renew(): Promise<void> {
    this.set({ news: false });
    this.feed.renew();
    const { sheet } = this.state;
    await Promise.all([
      this.loadOverview(),
      sheet?.name === 'detail' ? this.load('detail', this.ask({ type: 'detail', key: sheet.key })) : null,
    ]);
  }

  /** Look at the files again; by hand, so at once and whatever else goes on. */
  async refresh(): Promise<void> {
    if (!this.state.hello.data) return this.start();
    await this.attempt({ type: 'refresh' }, () => null);
    await this.renew();
  }

  setRange(range: Range): void {
    // What was chosen to fit the old period may not fit this one.
    this.look({ view: { ...this.state.view, range }, slice: null });
  }

  setFilters(change: Partial<Filters>): void {
    this.look({ view: { ...this.state.view, filters: { ...this.state.view.filters, ...change } } });
  }

  setSlice(slice: Slice): void {
    this.set({ slice });
    this.keep();
    void this.loadOverview();
  }

  setSort(sort: Sort): void {
    this.set({ sort, offset: 0 });
    this.keep();
    this.feed.reset();
    void this.loadPage();
  }

  /** Show the page that begins with this row. */
  turn(offset: number): void {
    this.set({ offset: Math.max(0, offset) });
    this.keep();
    void this.loadPage();
  }

  showAll(all: boolean): void {
    this.set({ all });
    this.setBusy('away', false);
    this.keep();
    this.feed.look(all);
    void this.loadPage();
  }

  openDetail(key: RecordKey): void {
    this.set({ sheet: { name: 'detail', key }, detail: { ...NOTHING, loading: true } });
    void this.load('detail', this.ask({ type: 'detail', key }));
  }

  openSettings(): void {
    this.set({ sheet: { name: 'settings' } });
  }

  closeSheet(): void {
    this.asked.detail += 1;
    this.set({ sheet: null, detail: NOTHING });
  }

  async openCode(key: RecordKey): Promise<void> {
    await this.attempt({ type: 'openCode', key }, ({ opened }) =>
      opened === 'nowhere' ? { kind: 'error', text: t('No code was found for this call: its record names no file, and its workflow no function of this workspace.') } : null);
  }

  async openRecord(key: RecordKey): Promise<void> {
    await this.attempt({ type: 'openRecord', key }, () => null);
  }

  async export(): Promise<void> {
    const { view, sort } = this.state;
    await this.attempt({ type: 'export', view, sort }, (answer) =>
      answer && { kind: 'done', text: t('{0} calls were written to {1}.', answer.rows, answer.path) });
  }

  async clear(): Promise<void> {
    await this.attempt({ type: 'clear' }, (answer) =>
      answer && { kind: 'done', text: t('The history was moved to {0}.', answer.path) });
    await this.renew();
  }

  /** The settings as they were taken, or null where they were refused (and that was said). */
  async save(settings: Partial<Settings>): Promise<Settings | null> {
    const saved = await this.attempt({ type: 'saveSettings', settings }, () => null);
    if (saved) this.set({ settings: saved });
    return saved;
  }

  async chooseFolder(path: string | null): Promise<void> {
    const source = await this.attempt({ type: 'chooseFolder', path }, () => null);
    if (source) this.look({});
  }

  openLink(link: OpenLinkQuestion['link']): void {
    void this.attempt({ type: 'openLink', link }, () => null);
  }

  /** Something else than an answer failed. */
  warn(error: unknown): void {
    this.set({ notice: { kind: 'error', text: wordingOf(error) } });
  }

  dismiss(): void {
    this.set({ notice: null });
  }

  /** While anything is busy nothing is redrawn; afterwards what waited is shown. */
  setBusy(reason: Busy, on: boolean): void {
    if (this.busy.has(reason) === on) return;
    const before = this.interacting();
    if (on) this.busy.add(reason);
    else this.busy.delete(reason);
    if (before !== this.interacting()) this.ask({ type: 'busy', busy: !before }).catch(() => undefined);
    if (this.busy.size === 0 && this.state.news) void this.renew();
  }

  /** The host goes on looking while somebody reads further down; it rests only during an interaction. */
  private interacting(): boolean {
    return [...this.busy].some((reason) => reason !== 'away');
  }

  private look(change: Partial<Pick<Snapshot, 'view' | 'slice'>>): void {
    this.set({ ...change, offset: 0 });
    this.keep();
    this.feed.reset();
    this.busy.delete('away');
    void this.renew();
  }

  private hear(told: Told): void {
    switch (told.type) {
      case 'changed':
        this.told = told.revision;
        if (told.revision === this.state.overview.data?.revision) return;
        if (this.busy.size > 0) this.set({ news: true });
        else if (this.state.hello.data) void this.renew();
        return;
      case 'reading':
        this.set({ reading: told.done < 1 ? told.done : null });
        return;
      case 'settings':
        this.set({ settings: told.settings });
        if (this.state.hello.data) void this.renew();
        return;
      case 'show':
        if (told.page) this.set({ sheet: told.page === 'settings' ? { name: 'settings' } : null });
        if (told.view) this.look({ view: { ...this.state.view, ...told.view } });
        return;
    }
  }

  /** The figures and the rows below them, in one answer. */
  private async loadOverview(): Promise<void> {
    const { view, slice } = this.state;
    const turns = { overview: ++this.asked.overview, page: ++this.asked.page };
    this.set({ overview: { ...this.state.overview, loading: true }, page: { ...this.state.page, loading: true } });
    try {
      const overview = await this.ask({ type: 'overview', view, slice, rows: this.rows() });
      if (turns.overview === this.asked.overview) this.take(overview, turns.page === this.asked.page);
    } catch (error) {
      if (turns.overview !== this.asked.overview) return;
      this.set({ overview: { ...this.state.overview, problem: wordingOf(error), loading: false } });
      if (turns.page === this.asked.page) this.set({ page: { ...this.state.page, loading: false } });
    }
  }

  /** `withPage` is false where other rows were asked for meanwhile. */
  private take(overview: Overview, withPage = true): void {
    const page = withPage ? { page: { data: overview.page ?? this.state.page.data, problem: null, loading: false } } : {};
    this.set({ overview: { data: overview, problem: null, loading: false }, reading: null, ...page });
    if (withPage && overview.page) this.stayWithin(overview.page);
  }

  private async loadPage(): Promise<void> {
    const rows = this.rows();
    if (rows) await this.load('page', this.ask({ type: 'page', view: this.state.view, ...rows }), (page) => { this.stayWithin(page); });
  }

  /** Fewer rows than there were: show the last page that there is. */
  private stayWithin({ total, offset }: Page): void {
    if (total > 0 && offset >= total) this.turn(Math.floor((total - 1) / PAGE_ROWS) * PAGE_ROWS);
  }

  private rows(): Rows | null {
    return rowsOf(this.state);
  }

  private ask<Q extends Question>(question: Q): Promise<Answer<Q>> {
    return this.asking.ask(question);
  }

  private async load<N extends 'hello' | 'page' | 'detail'>(
    name: N, asked: Promise<Answers[N]>, then?: (answer: Answers[N]) => void,
  ): Promise<void> {
    const turn = ++this.asked[name];
    this.update(name, { loading: true });
    try {
      const answer = await asked;
      if (turn !== this.asked[name]) return;
      this.update(name, { data: answer, problem: null, loading: false });
      then?.(answer);
    } catch (error) {
      if (turn === this.asked[name]) this.update(name, { problem: wordingOf(error), loading: false });
    }
  }

  /** Ask for something to be done, and say how it went. */
  private async attempt<Q extends Question>(question: Q, said: (answer: Answer<Q>) => Notice | null): Promise<Answer<Q> | null> {
    try {
      const answer = await this.ask(question);
      const notice = said(answer);
      if (notice) this.set({ notice });
      return answer;
    } catch (error) {
      this.set({ notice: { kind: 'error', text: wordingOf(error) } });
      return null;
    }
  }

  private update(name: 'hello' | 'page' | 'detail', change: Partial<Loaded<unknown>>): void {
    this.set({ [name]: { ...this.state[name], ...change } });
  }

  private keep(): void {
    const { view, slice, sort, offset, all } = this.state;
    this.editor.setState({ view, slice, sort, offset, all });
  }

  private set(change: Partial<Snapshot>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}

function wordingOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
