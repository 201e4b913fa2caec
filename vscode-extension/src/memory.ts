/** What a workspace remembers from one start to the next: the view that was looked at last, and the folder chosen by hand. */

import type * as vscode from 'vscode';

import type { Slice, View } from '../shared/protocol';
import { NO_FILTERS } from '../shared/protocol';
import { sliceOf, viewOf } from '../shared/view';

const VIEW = 'view';
const SLICE = 'slice';
const CHOSEN = 'folder.chosen';

const FIRST_VIEW: View = { range: { name: '7d' }, filters: NO_FILTERS };

export class Memory {
  constructor(private readonly state: vscode.Memento) {}

  get view(): View {
    return viewOf(this.state.get(VIEW)) ?? FIRST_VIEW;
  }

  get slice(): Slice | null {
    return sliceOf(this.state.get(SLICE));
  }

  get chosenFolder(): string | null {
    const chosen = this.state.get(CHOSEN);
    return typeof chosen === 'string' && chosen ? chosen : null;
  }

  async keepView(view: View, slice: Slice | null): Promise<void> {
    // Every refresh asks for the same view: that is no reason to write.
    if (JSON.stringify([view, slice]) === JSON.stringify([this.view, this.slice])) return;
    await Promise.all([this.state.update(VIEW, view), this.state.update(SLICE, slice)]);
  }

  async keepChosenFolder(folder: string | null): Promise<void> {
    await this.state.update(CHOSEN, folder ?? undefined);
  }
}
