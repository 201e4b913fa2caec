/** The folder that is looked at: its records, its alerts, and when either changed. One for all panels of a window. */

import { createHash } from 'node:crypto';
import path from 'node:path';

import * as vscode from 'vscode';

import type { AlertsState, Source } from '../shared/protocol';
import type { Dataset } from './data';
import type { Choice, Found } from './folders';

export interface FeedParts {
  find(): Promise<Found>;
  make(folder: string, storage: string): Dataset;
  readAlerts(folder: string, now: number): Promise<AlertsState>;
  /** Below it each folder of records has one for its parsed columns. */
  readonly storage: string;
  readonly now: () => number;
  failed(what: string, error: unknown): void;
}

/** One folder, from when it was first asked for until another takes its place. */
interface Opened {
  readonly folder: Choice | null;
  readonly dataset: Dataset;
  /** The first read of it; asked again it is not made again, unless it failed. */
  readonly read: () => Promise<void>;
  readonly isRead: () => boolean;
}

export class Feed implements vscode.Disposable {
  private readonly changedEvent = new vscode.EventEmitter<number>();
  private readonly readingEvent = new vscode.EventEmitter<number>();
  private readonly movedEvent = new vscode.EventEmitter<void>();
  private readonly readEvent = new vscode.EventEmitter<void>();
  /** With the new revision. */
  readonly onDidChange = this.changedEvent.event;
  /** With the part that is done, of a first read. */
  readonly onReading = this.readingEvent.event;
  /** Another folder is looked at. */
  readonly onDidMove = this.movedEvent.event;
  /** A folder was read for the first time. */
  readonly onDidRead = this.readEvent.event;

  private opening: Promise<Opened> | null = null;
  private opened: Opened | null = null;
  /** The one whose first read is over. */
  private readable: Opened | null = null;
  private choices: readonly Choice[] = [];
  private alertsNow: AlertsState = { state: 'none' };
  /** What else than records an answer depends on: alerts and today's date. */
  private aside = '';
  /** A dataset counts from its own beginning: this is what was counted before it, and aside. */
  private base = 0;

  constructor(private readonly parts: FeedParts) {}

  /** The folder that is looked at; reads nothing. */
  async folder(): Promise<string | null> {
    return (await this.open()).folder?.path ?? null;
  }

  /** Whether there are records to answer from at once. */
  isRead(): boolean {
    return this.opened !== null && this.opened === this.readable;
  }

  /** The records, once they were read. */
  async dataset(): Promise<Dataset> {
    const opened = await this.open();
    await opened.read();
    return opened.dataset;
  }

  async source(): Promise<Source> {
    const { folder, dataset } = await this.open();
    const none = { state: 'missing', problem: vscode.l10n.t('No folder is open.') } as const;
    const { state, problem } = folder ? dataset.state() : none;
    return { path: folder?.path ?? '', label: folder?.label ?? '', state, problem, choices: this.choices };
  }

  alerts(): AlertsState {
    return this.alertsNow;
  }

  /** The revision that a dataset's answer is of. */
  revision(ofDataset: number): number {
    return this.base + ofDataset;
  }

  /** Look at the files; tells where anything is new. */
  async refresh(): Promise<number> {
    const before = this.opened;
    if (before && before.dataset.state().state === 'missing') await this.relocate();
    const opened = await this.open();
    const isFirst = !opened.isRead();
    await opened.read();
    const changed = !isFirst && (await opened.dataset.refresh());
    const asideChanged = await this.lookAside(opened);
    if (this.opened !== opened) return this.refresh();
    const revision = this.revision(opened.dataset.reading.revision);
    if (changed || asideChanged) this.changedEvent.fire(revision);
    return revision;
  }

  /** The workspace or a setting changed: see whether another folder is meant now. */
  async relocate(): Promise<void> {
    const before = this.opened;
    if (!before) return;
    const found = await this.find();
    if (this.opened !== before) return;
    this.choices = found.choices;
    if (found.folder?.path === before.folder?.path) return;
    this.base += before.dataset.reading.revision + 1;
    this.opened = null;
    this.opening = null;
    const opened = await this.open();
    this.movedEvent.fire();
    this.changedEvent.fire(this.revision(opened.dataset.reading.revision));
    await before.dataset.close().catch((error: unknown) => this.parts.failed('closing', error));
  }

  dispose(): void {
    for (const event of [this.changedEvent, this.readingEvent, this.movedEvent, this.readEvent]) event.dispose();
    void this.opened?.dataset.close().catch(() => undefined);
    this.opened = null;
  }

  private open(): Promise<Opened> {
    this.opening ??= this.reallyOpen().catch((error: unknown) => {
      this.opening = null;
      throw error;
    });
    return this.opening;
  }

  private async reallyOpen(): Promise<Opened> {
    const { folder, choices } = await this.find();
    this.choices = choices;
    // Where there is no folder nothing is read from one that cannot be there.
    const records = folder?.path ?? path.join(this.parts.storage, 'none');
    const name = createHash('sha256').update(records).digest('hex').slice(0, 16);
    const dataset = this.parts.make(records, path.join(this.parts.storage, name));
    let first: Promise<void> | null = null;
    const read = (): Promise<void> => {
      first ??= this.firstRead(opened).catch((error: unknown) => {
        first = null;
        throw error;
      });
      return first;
    };
    const opened: Opened = { folder, dataset, read, isRead: () => first !== null };
    this.opened = opened;
    return opened;
  }

  private find(): Promise<Found> {
    return this.parts.find();
  }

  private async firstRead(opened: Opened): Promise<void> {
    await opened.dataset.refresh((done) => {
      if (this.opened === opened) this.readingEvent.fire(done);
    });
    await this.lookAside(opened);
    if (this.opened !== opened) return;
    this.readable = opened;
    this.readEvent.fire();
  }

  private async lookAside(opened: Opened): Promise<boolean> {
    const now = this.parts.now();
    const folder = opened.folder?.path;
    const alerts: AlertsState = folder ? await this.parts.readAlerts(folder, now) : { state: 'none' };
    if (this.opened !== opened) return false;
    this.alertsNow = alerts;
    // A watcher that runs writes its file every few seconds; that alone is nothing to draw anew.
    const aside = JSON.stringify([folder, new Date(now).toDateString(), alerts], (key, value: unknown) =>
      key === 'evaluatedAt' || key === 'value' ? undefined : value);
    const changed = this.aside !== '' && aside !== this.aside;
    this.aside = aside;
    if (changed) this.base += 1;
    return changed;
  }
}
