/** Problems: in the log with all details, to the user once and in words. */

import * as vscode from 'vscode';

import { redact } from './redaction';
import { wordingOf } from './wording';

export class Problems implements vscode.Disposable {
  private readonly log = vscode.window.createOutputChannel('LLM Telemetry', { log: true });
  private readonly said = new Set<string>();

  /** Only to the log. */
  note(what: string, error: unknown): void {
    this.log.error(`${what}: ${wordingOf(error)}`);
    if (error instanceof Error && error.stack) this.log.debug(redact(error.stack));
  }

  /** To the log, and as a message where the same was not said before. */
  say(what: string, error: unknown): void {
    this.note(what, error);
    const text = `${what}: ${wordingOf(error)}`;
    if (this.said.has(text)) return;
    this.said.add(text);
    const show = vscode.l10n.t('Show Log');
    void vscode.window.showErrorMessage(text, show).then((chosen) => {
      if (chosen === show) this.show();
    });
  }

  show(): void {
    this.log.show(true);
  }

  dispose(): void {
    this.log.dispose();
  }
}
