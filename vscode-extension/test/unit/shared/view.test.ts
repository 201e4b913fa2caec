import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { View } from '../../../shared/protocol';
import { NO_FILTERS, OUTCOMES, RANGES } from '../../../shared/protocol';
import { sliceOf, viewOf } from '../../../shared/view';

test('whatever was kept is a view or none, and never throws', () => {
  fc.assert(fc.property(fc.anything(), (kept) => {
    const view = viewOf(kept);
    if (view) expect(RANGES).toContain(view.range.name);
  }));
});

test('a view that was kept comes back as it was', () => {
  const view: View = {
    range: { name: 'custom', from: '2026-01-02', to: '2026-02-03' },
    filters: { workflows: ['a', ''], providers: ['openai'], tiers: [], outcomes: [...OUTCOMES], text: 'x' },
  };
  expect(viewOf(JSON.parse(JSON.stringify(view)))).toEqual(view);
});

test.each([
  ['a custom period without days', { name: 'custom' }],
  ['a day that is none', { name: 'custom', from: '2026-01-02', to: 'tomorrow' }],
  ['an unknown period', { name: 'year' }],
])('%s is no view', (_, range) => {
  expect(viewOf({ range, filters: NO_FILTERS })).toBeNull();
});

test('filters that are none are left out', () => {
  expect(viewOf({ range: { name: 'all' }, filters: { workflows: ['a', 1], outcomes: ['ok', 'odd'], text: 5 } })?.filters)
    .toEqual({ ...NO_FILTERS, workflows: ['a'], outcomes: ['ok'] });
});

test('an unknown slice is none', () => {
  expect([sliceOf('week'), sliceOf('year'), sliceOf(undefined)]).toEqual(['week', null, null]);
});
