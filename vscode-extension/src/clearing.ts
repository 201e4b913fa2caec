/** "Clear history" and the automatic retention: asked first, then moved to the archive; nothing is deleted. */

import path from 'node:path';

import * as vscode from 'vscode';

import type { Answers } from '../shared/protocol';
import type { Archived } from './data';
import type { Feed } from './feed';

type Archive = (folder: string, options?: { olderThanDays?: number }) => Promise<Archived>;

const DAY = 86_400_000;
const ASKED = 'retention.agreed';
const DONE = 'retention.done';

/** Ask whether to clear, and do it; null where it was cancelled. */
export async function clear(feed: Feed, archive: Archive, retentionDays: number): Promise<Answers['clear']> {
  const folder = await feed.folder();
  const records = (await feed.dataset()).reading.records;
  const source = await feed.source();
  if (!folder || source.state === 'missing') throw new Error(vscode.l10n.t('There is no folder of records.'));
  const all = vscode.l10n.t('Move All');
  const old = vscode.l10n.t('Move Older Than {0} Days', retentionDays);
  const chosen = await vscode.window.showWarningMessage(
    vscode.l10n.t('Clear the history of {0}?', source.label),
    {
      modal: true,
      detail: vscode.l10n.t(
        '{0} records move from {1} to {2}. They count no more, and are not deleted: moving the files back undoes it.',
        records.toLocaleString(vscode.env.language), folder, path.join(folder, 'archive'),
      ),
    },
    ...(retentionDays > 0 ? [all, old] : [all]),
  );
  if (chosen !== all && chosen !== old) return null;
  const done = await archive(folder, chosen === old ? { olderThanDays: retentionDays } : {});
  await feed.refresh();
  const moved = outcome(done);
  if (!moved) void vscode.window.showInformationMessage(vscode.l10n.t('No file holds only records as old as that; nothing was moved.'));
  return moved;
}

/**
 * Move files away whose records are all older than the setting says: at most once a day, and not before it was agreed to
 * in this workspace, because the setting may have come with it.
 */
export class Retention {
  private running = false;

  constructor(
    private readonly feed: Feed,
    private readonly archive: Archive,
    private readonly state: vscode.Memento,
    private readonly now: () => number,
  ) {}

  /** Returns what was moved; null where nothing was. */
  async run(days: number): Promise<Answers['clear']> {
    if (this.running || days === 0 || !vscode.workspace.isTrusted) return null;
    this.running = true;
    try {
      return await this.move(days);
    } finally {
      this.running = false;
    }
  }

  private async move(days: number): Promise<Answers['clear']> {
    const folder = await this.feed.folder();
    if (folder === null) return null;
    const today = new Date(this.now()).toDateString();
    const done = `${DONE}:${folder}`;
    if (this.state.get(done) === today || !(await this.hasOlder(days))) return null;
    await this.state.update(done, today);
    if (!(await this.agreed(folder, days))) return null;
    const moved = outcome(await this.archive(folder, { olderThanDays: days }));
    if (moved) await this.feed.refresh();
    return moved;
  }

  private async hasOlder(days: number): Promise<boolean> {
    const dataset = await this.feed.dataset();
    const to = new Date(this.now() - days * DAY);
    const day = [to.getFullYear(), to.getMonth() + 1, to.getDate()].map((part) => String(part).padStart(2, '0')).join('-');
    return dataset.costOf({ name: 'custom', from: '1970-01-01', to: day }, true).calls > 0;
  }

  private async agreed(folder: string, days: number): Promise<boolean> {
    const key = `${ASKED}:${folder}`;
    const before = this.state.get<boolean>(key);
    if (before !== undefined) return before;
    const yes = vscode.l10n.t('Move Old Records');
    const never = vscode.l10n.t('Not in This Workspace');
    const chosen = await vscode.window.showInformationMessage(
      vscode.l10n.t(
        'Files of records that are older than {0} days move to {1} from now on, as the setting says. Nothing is deleted.',
        days, path.join(folder, 'archive'),
      ),
      yes, never,
    );
    // A message that was only closed is asked again another day.
    if (chosen !== undefined) await this.state.update(key, chosen === yes);
    return chosen === yes;
  }
}

function outcome(done: Archived): Answers['clear'] {
  const [problem] = Object.entries(done.problems);
  if (problem && done.path === null) throw new Error(problem.join(': '));
  if (problem) void vscode.window.showWarningMessage(problem.join(': '));
  return done.path === null ? null : { path: done.path, segments: done.moved.length };
}
