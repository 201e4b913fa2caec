/** A record's time is read as Python reads it, whatever its form. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { timeOf } from '../../../src/data/times';
import { inZone } from './elsewhere';
import { random } from './lines';
import { NEEDS_PYTHON, python, PYTHON } from './python';

const FORMS = [
  '2026-11-20T10:00:00.655079Z', '2026-01-11T03:47:00.400225', '2026-11-20', '20261120', '2026-W47-5', '2026W475', '2026W47', '2026-W47',
  '2026-11-20 10', '20261120T1000', '20261120T100000.5+0530', '2026-11-20T10:00:00,123456789-00:00:01.5', '2026-W53-1T00:00Z',
  '2020-W53-7T23:59:59.999999', '2026-11-20T10:00+24:00', '2026-11-20é10:00', '2026-11-20🦀10:00Z', '0001-01-01T00:00:00+01:00',
  '9999-12-31T23:59:59.999999-00:01', '0001-01-01', '2024-02-29T12:00Z', '2026-02-29T12:00Z', '2026-11-20T24:00', '2026-11-20T23:60',
  '2026-11-20T23:59:60Z', '2026-11-20T10:', '2026-11-20T10:Z', '2026-11-20T10:00:00:5Z', '2026-W47-10:00', '0000-01-01', '2026-00-10',
  '2026-11-20T', '2026-11-20T10:00:00.Z', '2026-11-20T10:0:00Z', '1969-12-31T23:59:59.999999Z', '1900-01-01T00:00:00',
];
const PIECES = ['Z', '+', '-', ':', '.', ',', 'W', 'T', ' ', '0', '9', '00', '59', '60', '+05:30', 'é', ''];

function mutated(count: number): string[] {
  const next = random(5);
  const below = (limit: number): number => Math.floor(next() * limit);
  return Array.from({ length: count }, () => {
    let text = FORMS[below(FORMS.length)]!;
    for (let times = below(3); times > 0; times--) {
      const at = below(text.length + 1);
      text = text.slice(0, at) + PIECES[below(PIECES.length)]! + text.slice(at + below(3));
    }
    // Half of a pair is no text.
    return new TextDecoder().decode(new TextEncoder().encode(text)).replaceAll('\ufffd', '');
  });
}

const ASK = `
import json, sys, time
from datetime import datetime, UTC, timedelta
from attune_monitoring.records import parse_time
time.tzset()
epoch = datetime(1970, 1, 1, tzinfo=UTC)
def of(text):
    try:
        return (parse_time(text) - epoch) // timedelta(microseconds=1)
    except ValueError:
        return None
print(json.dumps([of(text) for text in json.load(open(sys.argv[1]))]))
`;

describe.skipIf(!PYTHON).each(['UTC', 'Europe/Berlin', 'America/New_York'])(`times in %s${NEEDS_PYTHON}`, (zone) => {
  test('are what Python says', async () => {
    // A zone had other rules, and odd ones, before the clocks of computers; old writers wrote none of these times.
    const texts = [...FORMS, ...mutated(10_000)].filter((text) => zone === 'UTC' || /^20[0-3]/.test(text));
    const folder = await mkdtemp(join(tmpdir(), 'times-'));
    try {
      const path = join(folder, 'texts.json');
      await writeFile(path, JSON.stringify(texts));
      const theirs = JSON.parse(await python(ASK, [path], { TZ: zone })) as (number | null)[];
      const mine = (await inZone(zone, `
        import { readFileSync } from 'node:fs';
        import { timeOf } from '../../../src/data/times';
        const texts = JSON.parse(readFileSync(${JSON.stringify(path)}, 'utf8'));
        console.log(JSON.stringify(texts.map((text) => { const time = timeOf(text); return Number.isNaN(time) ? null : Math.round(time * 1000); })));
      `)) as (number | null)[];
      // Far away from 1970 a double has a few microseconds less.
      const isSame = (one: number | null, other: number | null): boolean =>
        one === other || (one !== null && other !== null && Math.abs(one) > 2 ** 53 && Math.abs(one - other) < 16);
      const different = texts.flatMap((text, place) =>
        (isSame(mine[place]!, theirs[place]!) ? [] : [`${text}: ${mine[place]} for ${theirs[place]}`]));
      expect(different).toEqual([]);
      expect(theirs.filter((time) => time !== null).length).toBeGreaterThan(texts.length / 5);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 120_000);
});

test('the times of writers are read to the microsecond', () => {
  expect(timeOf('2026-11-20T10:00:00.655079Z')).toBe(1795168800655.079);
  expect(timeOf('2026-11-20T11:00:00.655079+01:00')).toBe(1795168800655.079);
  expect(timeOf('2026-11-20T10:00:00Z')).toBe(1795168800000);
  expect(timeOf('2024-02-29T00:00:00.000000Z')).toBe(Date.UTC(2024, 1, 29));
  expect(timeOf('2026-11-20T10:00:00.655079')).toBe(new Date(2026, 10, 20, 10).getTime() + 655.079);
});

test('what is no time is none', () => {
  const texts = ['', 'yesterday', '2026-02-29T00:00:00.000000Z', '2026-11-20T24:00:00.000000Z', '2026-11-20T10:61:00.000000Z', '2026-13-45', '2026-11-2'];
  expect(texts.map(timeOf)).toEqual(texts.map(() => NaN));
});
