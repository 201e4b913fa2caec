import { beforeEach, expect, test } from 'vitest';

import type * as vscode from 'vscode';

import { html } from '../../../src/html';
import { FakeFrame, fake, reset, Uri } from './vscode';

beforeEach(reset);

const PARTS = { first: 'greet("$&")', program: 'run("$&")', style: '@font-face { src: url("./icons.ttf?1") }' };

const page = (): string =>
  html(new FakeFrame().webview as unknown as vscode.Webview, Uri.file('/extension') as unknown as vscode.Uri, 'editor', PARTS);

function policyOf(text: string): Record<string, string> {
  const content = /<meta http-equiv="Content-Security-Policy" content="([^"]*)">/.exec(text)?.[1] ?? '';
  return Object.fromEntries(content.split('; ').map((one) => [one.split(' ')[0] ?? '', one.split(' ').slice(1).join(' ')]));
}

test('the page may run and look like what it brings, load its own font and images, and nothing else', () => {
  const nonce = /<script [^>]*nonce="([^"]+)"/.exec(page())?.[1];
  expect(nonce?.length).toBeGreaterThanOrEqual(22);
  const text = page();
  const own = /<script [^>]*nonce="([^"]+)"/.exec(text)?.[1] ?? '';
  expect(policyOf(text)).toEqual({
    'default-src': "'none'",
    'style-src': `'nonce-${own}'`,
    'font-src': 'https://files.example',
    'img-src': 'https://files.example data:',
    'script-src': `'nonce-${own}'`,
  });
});

test('each page has a nonce of its own', () => {
  const nonces = Array.from({ length: 50 }, () => /nonce="([^"]+)"/.exec(page())?.[1]);
  expect(new Set(nonces).size).toBe(50);
});

test('there is one script that runs, the program as text, and one style sheet, with the nonce, and no other style or handler in the text', () => {
  const text = page();
  expect(text.match(/<(script|style|link)[^>]*>/g)?.map((tag) => tag.replace(/nonce="[^"]+"/, 'nonce')))
    .toEqual(['<style nonce>', '<script nonce>', '<script type="text/plain" id="program" nonce data-elements="https://files.example/extension/dist/elements.js">']);
  expect(text).not.toMatch(/\sstyle=|\son\w+=/);
});

test('first script and program stand in the page as they were built', () => {
  expect(page()).toContain('>greet("$&")</script>');
  expect(page()).toContain('>run("$&")</script>');
});

test('the font is loaded from where the extension is', () => {
  expect(page()).toContain('@font-face { src: url("https://files.example/extension/dist/icons.ttf") }');
});

test('there is something to see before the script runs, and it is said what', () => {
  const text = page();
  expect(text.match(/class="card/g)?.length).toBeGreaterThanOrEqual(4);
  expect(text).toContain('aria-label="Reading the records…"');
});

test('the language is escaped like everything else', () => {
  fake.language = '"><script>';
  expect(page()).toContain('lang="&#34;&#62;&#60;script&#62;"');
});
