/** The page's first script, a small one: says hello, and lets the browser read the program when the page is painted. */

import { greet } from './greeting';
import type { Editor } from './telemetry';

declare function acquireVsCodeApi(): Editor;

const nonce = document.currentScript?.nonce ?? '';

function runProgram(): void {
  const script = document.createElement('script');
  script.type = 'module';
  script.nonce = nonce;
  script.textContent = document.getElementById('program')?.textContent ?? '';
  document.body.append(script);
}

window.greeting = greet(acquireVsCodeApi());
// The editor shares this thread: it sends hello before that, and not while a program is read.
requestAnimationFrame(() => { setTimeout(runProgram); });
