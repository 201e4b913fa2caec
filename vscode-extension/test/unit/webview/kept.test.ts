import { expect, test } from 'vitest';

import { NEWEST_FIRST, NO_FILTERS } from '../../../shared/protocol';
import type { Kept } from '../../../webview/kept';
import { readKept } from '../../../webview/kept';

const KEPT: Kept = { view: { range: { name: '30d' }, filters: { ...NO_FILTERS, tiers: ['cheap'] } }, slice: 'week', sort: { column: 'cost', descending: true }, offset: 40, all: true };

test('what was kept comes back', () => {
  expect(readKept(JSON.parse(JSON.stringify(KEPT)))).toEqual(KEPT);
});

test.each([undefined, null, 7, 'text', {}, { view: {} }, { view: { range: { name: 'fortnight' } } }])('%j is nothing', (value) => {
  expect(readKept(value)).toBeNull();
});

test('what is damaged takes its default, the rest stays', () => {
  expect(readKept({ view: { range: { name: 'all' } }, slice: 'year', sort: { column: 'smell' }, offset: -3, all: 'yes' })).toEqual({
    view: { range: { name: 'all' }, filters: NO_FILTERS }, slice: null, sort: NEWEST_FIRST, offset: 0, all: false,
  });
  expect(readKept({ ...KEPT, sort: null, offset: 1.5 })).toMatchObject({ sort: NEWEST_FIRST, offset: 0 });
});
