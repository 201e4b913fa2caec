import { readdir, readFile } from 'node:fs/promises';

import { afterEach, expect, test } from 'vitest';

import { plural, setTexts, t, TEXTS } from '../../../webview/texts';

afterEach(() => { setTexts({}, 'en'); });

test('a text is translated, and its holes are filled in the order of the translation', () => {
  setTexts({ '{0} calls were written to {1}.': 'Nach {1}: {0} Aufrufe.' }, 'de');
  expect(t('{0} calls were written to {1}.', 7, 'a.csv')).toBe('Nach a.csv: 7 Aufrufe.');
  expect(t('Total Cost')).toBe('Total Cost');
});

test('a value with braces is not filled again, and a hole without a value stays', () => {
  expect(t('Remove {0}', '{0}{1}')).toBe('Remove {0}{1}');
  expect(t('Remove {0}')).toBe('Remove {0}');
});

test('one is said in another way than many', () => {
  expect([0, 1, 1200].map((number) => plural(number, '1 call', '{0} calls'))).toEqual(['0 calls', '1 call', '1,200 calls']);
});

test('the list has each text once, and none that nobody uses', async () => {
  const folder = new URL('../../../webview/', import.meta.url);
  const names = (await readdir(folder, { recursive: true })).filter((name) => /\.tsx?$/.test(name) && name !== 'texts.ts');
  const source = (await Promise.all(names.map((name) => readFile(new URL(name, folder), 'utf8')))).join('\n');
  expect(new Set(TEXTS).size).toBe(TEXTS.length);
  expect(TEXTS.filter((text) => !source.includes(`'${text}'`))).toEqual([]);
});
