/** The page: joins the conversation and the components. */

// First, so that it runs before the libraries.
import { telemetry } from './session';
import '@vscode/codicons/dist/codicon.css';
import './style.css';
import { createRoot } from 'react-dom/client';
import { ErrorBoundary } from './components/ErrorBoundary';
import { TelemetryPanel } from './components/TelemetryPanel';
import { TelemetryContext } from './useTelemetryData';

const place = document.getElementById('root') ?? document.body.appendChild(document.createElement('div'));
createRoot(place).render(
  <TelemetryContext value={telemetry}>
    <ErrorBoundary><TelemetryPanel /></ErrorBoundary>
  </TelemetryContext>,
);
