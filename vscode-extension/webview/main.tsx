/** The page: joins the conversation and the components. */

// First, so that it runs before the libraries.
import { greeted, telemetry } from './session';
import '@vscode/codicons/dist/codicon.css';
import './style.css';
import { createRoot } from 'react-dom/client';
import { ErrorBoundary } from './components/ErrorBoundary';
import { TelemetryPanel } from './components/TelemetryPanel';
import { loadElements } from './scripts';
import { TelemetryContext } from './useTelemetryData';

/** So long a search field may be missing on a busy machine. */
const LONGEST_MS = 1_000;

const root = createRoot(document.getElementById('root') ?? document.body.appendChild(document.createElement('div')));

// Until then the page shows what the host wrote into it; the answer mostly has the figures, and they are all that is to be drawn.
void greeted.then(() => {
  root.render(
    <TelemetryContext value={telemetry}>
      <ErrorBoundary><TelemetryPanel /></ErrorBoundary>
    </TelemetryContext>,
  );
  // When that is drawn: nobody types before.
  requestIdleCallback(() => { loadElements().catch((error: unknown) => { telemetry.warn(error); }); }, { timeout: LONGEST_MS });
});
