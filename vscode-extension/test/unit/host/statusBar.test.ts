import { beforeEach, describe, expect, test } from 'vitest';

import type { AlertsState, FiringAlert } from '../../../shared/protocol';
import { money, StatusBar } from '../../../src/statusBar';
import { fake, reset } from './vscode';

beforeEach(reset);

const TODAY = { cost: 1.2, calls: 1500, unknownCost: 0 };
const alert = (rule: string, silenced = false): FiringAlert => ({ rule, severity: 'warning', condition: '', value: 1, labels: {}, since: 0, silenced });
const running = (...firing: FiringAlert[]): AlertsState => ({ state: 'running', evaluatedAt: 0, rules: 1, firing, pending: 0, faults: [] });

function shown(alerts: AlertsState) {
  new StatusBar('attune.telemetry.open').show(TODAY, alerts, 'ws/.empathy');
  return fake.statusItems[0] ?? expect.unreachable();
}

test('alerts that fire are counted and named; silenced ones are neither', () => {
  const item = shown(running(alert('day is dear'), alert('quiet', true)));
  expect([item.text, item.tooltip]).toEqual([
    '$(graph-line) $1.20 $(bell-dot) 1', 'LLM calls today: 1,500 for $1.20\nAlert: day is dear\nws/.empathy',
  ]);
});

test('what a watcher said that does not run any more is no alert', () => {
  const { text } = shown({ ...running(alert('old')), state: 'stale' } as AlertsState);
  expect(text).toBe('$(graph-line) $1.20');
});

test('a rule cannot make the tooltip more than text, nor endless', () => {
  const { tooltip } = shown(running(...Array.from({ length: 50 }, () => alert(`[x](command:evil)${'y'.repeat(500)}`))));
  expect(typeof tooltip).toBe('string');
  expect(String(tooltip).split('\n')).toHaveLength(7);
  expect(String(tooltip).length).toBeLessThan(600);
});

test('without figures it hides', () => {
  const bar = new StatusBar('x');
  bar.show(TODAY, { state: 'none' }, '');
  bar.show(null, { state: 'none' }, '');
  expect(fake.statusItems[0]?.shown).toBe(false);
});

describe('money', () => {
  test.each([[0, '$0.00'], [0.00042, '$0.0004'], [0.05, '$0.0500'], [0.1, '$0.10'], [1234.5, '$1,234.50']])('%d is %s', (usd, text) => {
    expect(money(usd, 'en')).toBe(text);
  });
});
