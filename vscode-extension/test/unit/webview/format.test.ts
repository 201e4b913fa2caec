import { afterEach, describe, expect, test } from 'vitest';

import { ago, axisMoney, count, duration, exactMoney, isoDay, knownCost, minuteTime, money, named, percent, shortTime, tokens } from '../../../webview/format';
import { setTexts } from '../../../webview/texts';

afterEach(() => { setTexts({}, 'en'); });

describe('money', () => {
  test.each([
    [null, 'unknown'], [0, '$0.00'], [0.000421, '$0.0004'], [0.00005, '$0.0001'], [0.00004, '< $0.0001'], [0.0123, '$0.0123'],
    [0.5, '$0.5000'], [0.99949, '$0.9995'], [0.9996, '$1.00'], [1, '$1.00'], [12.345, '$12.35'], [-3.2, '-$3.20'], [1234567.8, '$1,234,567.80'],
  ])('%s is %s', (value, text) => { expect(money(value)).toBe(text); });

  test('in a title it has all of its digits, and an unknown one is no 0', () => {
    expect(exactMoney(0.000421)).toBe('$0.000421');
    expect(exactMoney(null)).toBe('unknown');
  });

  test.each([[0, '$0'], [0.00002, '$0.00002'], [0.25, '$0.25'], [25, '$25'], [12000, '$12K']])('on an axis %s is %s', (value, text) => {
    expect(axisMoney(value)).toBe(text);
  });

  test('of a group is not known where none of its costs is', () => {
    expect(knownCost({ calls: 3, cost: 0, unknownCost: 3 })).toBeNull();
    expect(knownCost({ calls: 3, cost: 0.5, unknownCost: 2 })).toBe(0.5);
    expect(knownCost({ calls: 0, cost: 0, unknownCost: 0 })).toBe(0);
  });
});

describe('duration', () => {
  test.each([
    [null, '–'], [0, '0 ms'], [1.25, '1.3 ms'], [412, '412 ms'], [999.6, '1.00 s'], [1500, '1.50 s'], [9999, '10.0 s'], [59_940, '59.9 s'],
    [59_990, '1 min'], [90_000, '1 min 30 s'], [600_000, '10 min'], [754_000, '13 min'], [5_400_000, '1.5 h'],
  ])('%s ms is %s', (value, text) => { expect(duration(value)).toBe(text); });
});

describe('tokens', () => {
  test.each([[0, '0'], [9999, '9,999'], [12_345, '12.3k'], [99_960, '100k'], [512_300, '512k'], [999_960, '1M'], [4_600_000, '4.6M'], [1_250_000_000, '1.3B']])(
    '%s is %s', (value, text) => { expect(tokens(value)).toBe(text); });
});

describe('percent', () => {
  test.each([[null, '–'], [0, '0%'], [0.04, '0.1%'], [12, '12%'], [97.14, '97.1%'], [99.97, '99.9%'], [100, '100%']])(
    '%s is %s', (value, text) => { expect(percent(value)).toBe(text); });
});

describe('time', () => {
  const now = new Date(2026, 10, 23, 15, 42, 7).getTime();
  test('of today has seconds, of this year no year, of another no hour', () => {
    expect(shortTime(new Date(2026, 10, 23, 9, 5, 3).getTime(), now)).toBe('09:05:03');
    expect(shortTime(new Date(2026, 10, 21, 9, 5).getTime(), now)).toBe('Nov 21, 09:05');
    expect(shortTime(new Date(2025, 0, 2).getTime(), now)).toBe('Jan 2, 2025');
    expect(minuteTime(new Date(2026, 10, 23, 9, 5, 3).getTime(), now)).toBe('09:05');
    expect(minuteTime(new Date(2026, 10, 21, 9, 5).getTime(), now)).toBe('Nov 21, 09:05');
  });
  test.each([[9_000, '9 seconds ago'], [180_000, '3 minutes ago'], [7_200_000, '2 hours ago'], [90_000_000, 'yesterday'], [-5000, 'now']])(
    '%s ms before is %s', (before, text) => { expect(ago(now - before, now)).toBe(text); });
  test('a day is one of the local calendar', () => {
    expect(isoDay(new Date(2026, 0, 2, 23, 59).getTime())).toBe('2026-01-02');
  });
});

test('numbers follow the language of the editor', () => {
  setTexts({}, 'de');
  expect(count(1234567)).toBe('1.234.567');
  expect(money(12.5)).toBe('12,50\u00a0$');
});

test('a language that is not known falls back to English', () => {
  setTexts({}, 'not a tag');
  expect(count(1234)).toBe('1,234');
});

test('a name that is empty is said to be none', () => {
  expect([named(''), named('review')]).toEqual(['(none)', 'review']);
});
