/** The page's one conversation with the host, which its first script has begun. */

import { EARLY } from './greeting';
import { Telemetry } from './telemetry';

const { editor, deliver } = window.greeting;
export const telemetry = new Telemetry(editor);
/** Hello was answered, or refused. */
export const greeted = telemetry.start(EARLY);
deliver((message) => { telemetry.receive(message); });
window.addEventListener('pagehide', () => { telemetry.close(); });
