/** The panel on a page of happy-dom, with the parts of a browser that happy-dom lacks. */

import type { RenderResult } from '@testing-library/react';
import { act, render } from '@testing-library/react';
import { vi } from 'vitest';

import type { Question, ToHost, ToWebview } from '../../../shared/protocol';
import { TelemetryPanel } from '../../../webview/components/TelemetryPanel';
import '../../../webview/elements';
import { Telemetry } from '../../../webview/telemetry';
import { TelemetryContext } from '../../../webview/useTelemetryData';
import type { State } from '../../harness/host';
import { fakeEditor } from '../../harness/host';

HTMLElement.prototype.attachInternals = function attachInternals() {
  return { setFormValue: () => undefined, setValidity: () => undefined, validity: {}, form: null } as unknown as ElementInternals;
};

/** A drawing surface on which nothing can be seen: every method is there, text has a width. */
HTMLCanvasElement.prototype.getContext = function getContext(this: HTMLCanvasElement) {
  return new Proxy({}, {
    get: (_target, name) => (name === 'canvas' ? this : name === 'measureText' ? () => ({ width: 10 }) : () => undefined),
    set: () => true,
  });
} as unknown as HTMLCanvasElement['getContext'];

export interface Page extends RenderResult {
  readonly telemetry: Telemetry;
  readonly asked: Question[];
  tell(message: ToWebview): Promise<void>;
}

/** Widths are those of the element that fills the page. */
export async function open(state: State, width = 1200): Promise<Page> {
  vi.spyOn(HTMLElement.prototype, 'clientWidth', 'get').mockReturnValue(width);
  const asked: Question[] = [];
  const editor = fakeEditor(state, (message) => { act(() => { telemetry.receive(message); }); });
  const telemetry = new Telemetry({ ...editor, postMessage: (message: ToHost) => { asked.push(message.question); editor.postMessage(message); } });
  const rendered = render(<TelemetryContext value={telemetry}><TelemetryPanel /></TelemetryContext>);
  await act(async () => { await Promise.race([telemetry.start(), turns(30)]); });
  await drawn();
  return { ...rendered, telemetry, asked, tell: async (message) => { act(() => { telemetry.receive(message); }); await drawn(); } };
}

/**
 * Elements of a name: their label, else their text. Testing Library's search by role does the same and more,
 * and takes seconds for a page of this size.
 */
export function all(selector: string, name: string | RegExp, within: ParentNode = document): HTMLElement[] {
  return [...within.querySelectorAll<HTMLElement>(selector)].filter((element) => {
    const text = element.getAttribute('aria-label') ?? element.textContent.trim();
    return typeof name === 'string' ? text === name : name.test(text);
  });
}

export function one(selector: string, name: string | RegExp, within: ParentNode = document): HTMLElement {
  const [found, other] = all(selector, name, within);
  if (!found || other) throw new Error(`${found ? 'several' : 'no'} ${selector} of the name ${String(name)}`);
  return found;
}

/** What was asked is answered and drawn, also what waits until the rest is painted: in up to three frames. */
export async function drawn(): Promise<void> {
  for (let frame = 0; frame < 3; frame += 1) {
    await act(async () => {
      await turns(40);
      await painted();
    });
  }
}

async function painted(): Promise<void> {
  await new Promise((resolve) => { requestAnimationFrame(resolve); });
  if (vi.isFakeTimers()) vi.advanceTimersByTime(0);
  else await new Promise((resolve) => { setTimeout(resolve); });
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}
