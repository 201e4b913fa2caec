/** What is done before the page's program is read, as that takes longer than an answer: hello is said, and what comes back is kept. */

import type { ToWebview } from '../shared/protocol';
import { helloOf, readKept } from './kept';
import type { Editor } from './telemetry';

/** The id of hello; the program counts its questions from 1. */
export const EARLY = 0;

export interface Greeting {
  readonly editor: Editor;
  /** Messages go there from now on, and first those that came before. */
  readonly deliver: (to: (message: ToWebview) => void) => void;
}

declare global {
  interface Window {
    greeting: Greeting;
  }
}

export function greet(editor: Editor): Greeting {
  const early: ToWebview[] = [];
  let take = (message: ToWebview): void => { early.push(message); };
  window.addEventListener('message', ({ data }: MessageEvent<ToWebview>) => { take(data); });
  editor.postMessage({ kind: 'asked', id: EARLY, question: helloOf(readKept(editor.getState())) });
  return {
    editor,
    deliver: (to) => {
      take = to;
      for (const message of early.splice(0)) to(message);
    },
  };
}
