// @vitest-environment happy-dom
/** The script of the controls: from where the page says, with the nonce of the page. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { loadElements } from '../../../webview/scripts';

let scripts: HTMLScriptElement[];

beforeEach(() => {
  scripts = [];
  document.body.innerHTML = '<script data-elements="https://files.example/elements.js"></script>';
  // A browser hides the attribute and keeps the property.
  Object.assign(document.querySelector('script') ?? {}, { nonce: 'once' });
  vi.spyOn(document.head, 'append').mockImplementation((script) => { scripts.push(script as HTMLScriptElement); });
});
afterEach(() => { vi.restoreAllMocks(); });

test('it is waited for', async () => {
  const loading = loadElements();
  expect(scripts.map(({ src, nonce }) => [src, nonce])).toEqual([['https://files.example/elements.js', 'once']]);
  scripts[0]?.dispatchEvent(new Event('load'));
  await expect(loading).resolves.toBeUndefined();
});

test('that it does not come is said', async () => {
  const loading = loadElements();
  scripts[0]?.dispatchEvent(new Event('error'));
  await expect(loading).rejects.toThrow('The controls could not be loaded.');
});

test('a page that names none has none to wait for', async () => {
  document.body.innerHTML = '';
  await expect(loadElements()).resolves.toBeUndefined();
  expect(scripts).toEqual([]);
});
