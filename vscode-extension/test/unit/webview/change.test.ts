import { describe, expect, test } from 'vitest';

import type { Figures } from '../../../shared/protocol';
import type { Figure } from '../../../webview/change';
import { beforeName, changeOf } from '../../../webview/change';
import { figuresOf } from '../../harness/records';

const with_ = (figure: Figure, value: number | null): Figures => ({ ...figuresOf([]), [figure]: value });

describe('a change', () => {
  test.each<[Figure, number | null, number | null, string | null]>([
    ['cost', 11, 10, 'up bad 10%'], ['cost', 5, 10, 'down good 50%'], ['cost', 10.01, 10, 'same neutral no change'],
    ['cost', 2, 0, 'up bad $2.00'], ['cost', 0, 0, 'same neutral no change'], ['cost', 500, 10, 'up bad 50 times'],
    ['calls', 12, 10, 'up neutral 20%'], ['calls', 3, 0, 'up neutral 3'],
    ['successRate', 97.1, 96.1, 'up good 1 point'], ['successRate', 90, 95.5, 'down bad 5.5 points'], ['successRate', 90.01, 90, 'same neutral no change'], ['successRate', null, 90, null],
    ['averageLatency', 900, 1000, 'down good 10%'], ['averageLatency', 1100, 1000, 'up bad 10%'], ['averageLatency', 1100, null, null],
  ])('of %s from %s now, %s before: %s', (figure, now, before, expected) => {
    const change = changeOf(figure, with_(figure, now), with_(figure, before));
    expect(change && `${change.direction} ${change.tone} ${change.text}`).toBe(expected);
  });

  test('there is none without a period before', () => {
    expect(changeOf('cost', with_('cost', 1), null)).toBeNull();
  });

  test('says what it is compared with', () => {
    expect((['today', '7d', '30d', 'all', 'custom'] as const).map(beforeName)).toEqual([
      'vs. yesterday', 'vs. previous 7 days', 'vs. previous 30 days', 'vs. period before', 'vs. period before',
    ]);
  });
});
