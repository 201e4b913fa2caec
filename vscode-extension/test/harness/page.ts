/** Stands in for the editor in a plain browser: its colors, and a host. ?theme=dark&state=normal&place=editor */

import type { State } from './host';
import { fakeEditor, STATES } from './host';
import themes from './themes.json';

declare global {
  interface Window {
    acquireVsCodeApi?: () => unknown;
    violations?: string[];
  }
}

const asked = new URLSearchParams(location.search);
const theme = Object.entries(themes).find(([name]) => name === asked.get('theme'))?.[1] ?? themes.dark;
const state: State = STATES.find((name) => name === asked.get('state')) ?? 'normal';
const violations: string[] = [];
window.violations = violations;
document.addEventListener('securitypolicyviolation', (event) => { violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`); });
for (const [name, value] of Object.entries(theme.variables)) document.documentElement.style.setProperty(name, value);
document.body.className = theme.className;
document.body.dataset['place'] = asked.get('place') ?? 'editor';
window.acquireVsCodeApi = () => fakeEditor(state, (message) => { window.postMessage(message); });
