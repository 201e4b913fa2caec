/** One webview and its conversation with the host: the same for an editor tab and for a view of the panel area. */

import type * as vscode from 'vscode';

import { Answering } from '../shared/conversation';
import type { ShowTold, ToHost, Told, ToWebview } from '../shared/protocol';
import { answerers } from './answers';
import type { Host } from './answers';
import { assets, html } from './html';
import type { Parts, Place } from './html';
import type { Problems } from './problems';
import { wordingOf } from './wording';

/** What a `WebviewPanel` and a `WebviewView` have in common. */
export interface Frame {
  readonly webview: vscode.Webview;
  readonly visible: boolean;
  readonly onDidDispose: vscode.Event<void>;
}

export class Panel implements vscode.Disposable {
  private readonly disposables: vscode.Disposable[] = [];
  private readonly answering: Answering;
  /** A page that was hidden is made anew, and says hello again. */
  private greeted = false;
  private isBusy = false;
  /** To be shown as soon as the page can hear it. */
  private wanted: Omit<ShowTold, 'type'> | null = null;

  constructor(
    private readonly frame: Frame, place: Place, extension: vscode.Uri, parts: Parts, host: Host, private readonly problems: Problems,
    /** Whether it is seen, or used, has changed. */
    private readonly attention: () => void,
  ) {
    const { webview } = frame;
    this.answering = new Answering(
      answerers(host, { setBusy: (busy) => this.setBusy(busy) }),
      (message: ToWebview) => webview.postMessage(message),
      (error) => {
        problems.note('a question of the panel was refused', error);
        return wordingOf(error);
      },
    );
    this.disposables.push(
      webview.onDidReceiveMessage((message: ToHost) => void this.receive(message)),
      host.feed.onDidChange((revision) => this.tell({ type: 'changed', revision })),
      host.feed.onReading((done) => this.tell({ type: 'reading', done })),
    );
    webview.options = { enableScripts: true, localResourceRoots: [assets(extension)] };
    webview.html = html(webview, extension, place, parts);
  }

  get visible(): boolean {
    return this.frame.visible;
  }

  get busy(): boolean {
    return this.visible && this.isBusy;
  }

  tell(told: Told): void {
    if (this.visible && this.greeted) this.answering.tell(told);
  }

  /** Change what the page shows; now, or when it is ready. */
  show(wanted: Omit<ShowTold, 'type'>): void {
    if (this.visible && this.greeted) this.tell({ type: 'show', ...wanted });
    else this.wanted = { ...this.wanted, ...wanted };
  }

  /** Its visibility changed: what was hidden is gone, with whoever used it. */
  turned(): void {
    if (!this.visible) {
      this.greeted = false;
      this.isBusy = false;
    }
    this.attention();
  }

  dispose(): void {
    for (const one of this.disposables.splice(0)) one.dispose();
  }

  private async receive(message: ToHost): Promise<void> {
    const isHello = message?.kind === 'asked' && message.question?.type === 'hello';
    // Before it is answered: what changes meanwhile is not in the answer.
    if (isHello) this.greeted = true;
    try {
      await this.answering.receive(message);
    } catch (error) {
      // The page went while it was answered.
      this.problems.note('an answer did not reach the panel', error);
    }
    if (!isHello || !this.wanted) return;
    this.tell({ type: 'show', ...this.wanted });
    this.wanted = null;
  }

  private setBusy(busy: boolean): void {
    this.isBusy = busy;
    this.attention();
  }
}
