/** The page: joins the editor, the data and the components. */

import './style.css';
import { createRoot } from 'react-dom/client';
import type { ToWebview } from '../shared/protocol';
import { ErrorBoundary } from './components/ErrorBoundary';
import { TelemetryPanel } from './components/TelemetryPanel';
import type { Editor } from './telemetry';
import { Telemetry } from './telemetry';
import { TelemetryContext } from './useTelemetryData';

declare function acquireVsCodeApi(): Editor;

const telemetry = new Telemetry(acquireVsCodeApi());
window.addEventListener('message', (event: MessageEvent<ToWebview>) => { telemetry.receive(event.data); });
window.addEventListener('pagehide', () => { telemetry.close(); });

const place = document.getElementById('root') ?? document.body.appendChild(document.createElement('div'));
createRoot(place).render(
  <TelemetryContext value={telemetry}>
    <ErrorBoundary><TelemetryPanel /></ErrorBoundary>
  </TelemetryContext>,
);
void telemetry.start();
