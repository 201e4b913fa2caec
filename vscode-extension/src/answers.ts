/** The host's answers to each question of a webview. */

import * as vscode from 'vscode';

import type { Answerers } from '../shared/conversation';
import type { Detail, Overview, Page, RecordKey, Rows, Settings, Slice, Sort, Source, View } from '../shared/protocol';
import { MOST_ROWS, SORT_COLUMNS } from '../shared/protocol';
import { sliceOf, viewOf } from '../shared/view';
import type { Answers, OpenLinkQuestion } from '../shared/protocol';
import type { Dataset } from './data';
import type { Feed } from './feed';
import type { Memory } from './memory';

/** What the answers are made of; one for all webviews. */
export interface Host {
  readonly feed: Feed;
  readonly memory: Memory;
  settings(): Settings;
  saveSettings(change: Partial<Settings>): Promise<Settings>;
  chooseFolder(path: string | null): Promise<Source | null>;
  openCode(detail: Detail): Promise<Answers['openCode']['opened']>;
  openRecord(key: RecordKey): Promise<void>;
  openLink(link: OpenLinkQuestion['link']): Promise<void>;
  exportCsv(dataset: Dataset, view: View, sort: Sort, includeTests: boolean): Promise<Answers['export']>;
  clear(retentionDays: number): Promise<Answers['clear']>;
}

/** What a webview says of itself. */
export interface Client {
  setBusy(busy: boolean): void;
}

export function answerers(host: Host, client: Client): Answerers {
  const { feed, memory } = host;

  const pageOf = (dataset: Dataset, view: View, { sort, offset, limit }: Rows): Page => {
    const page = dataset.page(view, sort, offset, limit, host.settings().includeTests);
    return { ...page, revision: feed.revision(page.revision) };
  };

  const overviewOf = async (view: View, slice: Slice | null, rows: Rows | null): Promise<Overview> => {
    const dataset = await feed.dataset();
    const source = await feed.source();
    const overview = dataset.overview(view, slice, host.settings().includeTests);
    const page = rows && pageOf(dataset, view, rows);
    return { ...overview, revision: feed.revision(overview.revision), source, alerts: feed.alerts(), page };
  };

  return {
    hello: async ({ looking, rows }) => {
      const { view, slice } = memory;
      const shown = looking ?? { view, slice };
      // A first read takes a while; and where there is nothing to show, the page asks and hears why.
      const overview = feed.isRead() ? await overviewOf(checkedView(shown.view), sliceOf(shown.slice), checkedRows(rows)).catch(() => null) : null;
      return {
        settings: host.settings(), view, slice, locale: vscode.env.language, texts: vscode.l10n.bundle ?? {}, trusted: vscode.workspace.isTrusted, overview,
      };
    },

    overview: async (question) => {
      const view = checkedView(question.view);
      const slice = sliceOf(question.slice);
      const rows = checkedRows(question.rows);
      // Not waited for: that is a message to the editor's window and back. What cannot be kept can be shown.
      memory.keepView(view, slice).catch(() => undefined);
      return overviewOf(view, slice, rows);
    },

    page: async (question) => {
      const view = checkedView(question.view);
      const rows = rowsOf(question);
      return pageOf(await feed.dataset(), view, rows);
    },

    detail: async ({ key }) => (await feed.dataset()).detail(checkedKey(key)),
    openCode: async ({ key }) => ({ opened: await host.openCode(await (await feed.dataset()).detail(checkedKey(key))) }),
    openRecord: async ({ key }) => {
      await host.openRecord(checkedKey(key));
      return null;
    },

    export: async ({ view, sort }) =>
      host.exportCsv(await feed.dataset(), checkedView(view), checkedSort(sort), host.settings().includeTests),
    clear: async () => host.clear(host.settings().retentionDays),
    refresh: async () => ({ revision: await feed.refresh() }),
    saveSettings: async ({ settings }) => host.saveSettings(settings),
    chooseFolder: async ({ path }) => host.chooseFolder(path === null ? null : String(path)),
    openLink: async ({ link }) => {
      await host.openLink(link);
      return null;
    },
    busy: async ({ busy }) => {
      client.setBusy(busy === true);
      return null;
    },
  };
}

// A webview is checked like any other program that sends something.

function checkedView(view: unknown): View {
  const checked = viewOf(view);
  if (!checked) throw new Error(vscode.l10n.t('The period is not one that can be shown.'));
  return checked;
}

function checkedRows(rows: Rows | null): Rows | null {
  return rows === null ? null : rowsOf(rows);
}

function rowsOf(rows: Rows): Rows {
  return { sort: checkedSort(rows?.sort), offset: wholeNumber(rows?.offset), limit: Math.min(wholeNumber(rows?.limit), MOST_ROWS) };
}

function checkedSort(sort: Sort): Sort {
  const column = SORT_COLUMNS.find((known) => known === sort?.column);
  if (!column) throw new Error(vscode.l10n.t('There is no such column.'));
  return { column, descending: sort.descending === true };
}

function checkedKey(key: RecordKey): RecordKey {
  // A name alone: nothing that leads out of the folder.
  if (typeof key?.segment !== 'string' || !/^[\w.-]+\.jsonl$/.test(key.segment)) throw new Error(vscode.l10n.t('There is no such record.'));
  return { segment: key.segment, offset: wholeNumber(key.offset) };
}

function wholeNumber(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Error(vscode.l10n.t('{0} is no position.', String(value).slice(0, 40)));
  return value;
}
