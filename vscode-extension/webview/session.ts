/** The page's one conversation with the host. It says hello before anything else is evaluated: the answer takes a while. */

import type { ToWebview } from '../shared/protocol';
import type { Editor } from './telemetry';
import { Telemetry } from './telemetry';

declare function acquireVsCodeApi(): Editor;

export const telemetry = new Telemetry(acquireVsCodeApi());
window.addEventListener('message', (event: MessageEvent<ToWebview>) => { telemetry.receive(event.data); });
window.addEventListener('pagehide', () => { telemetry.close(); });
/** Hello was answered, or refused. */
export const greeted = telemetry.start();
