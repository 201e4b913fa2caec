/** Stretches of time by the local calendar: what a range means, the one before it, and its parts. */

import type { Range, Slice } from '../../shared/protocol';

/** From a beginning to, and without, an end, in milliseconds since the epoch. */
export interface Period {
  readonly since: number;
  readonly until: number;
}

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** So long back the roll-up of the command line has minutes. */
const MINUTES_FOR = 48 * HOUR;
/** More parts than this are no chart. */
const MOST_PARTS = 1000;

/** The beginning of the local day that is some days from the one of a time. */
export function midnight(time: number, days = 0): number {
  const day = new Date(time);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + days).getTime();
}

/** The period that a range means. `oldest`: the first record's time, or null; for `all`. Throws on days that are none. */
export function periodOf(range: Range, now: number, oldest: number | null): Period {
  switch (range.name) {
    case 'today':
      return { since: midnight(now), until: now };
    case '7d':
      return { since: midnight(now, -6), until: now };
    case '30d':
      return { since: midnight(now, -29), until: now };
    case 'all':
      return { since: oldest === null ? now : Math.min(now, Math.floor(oldest / HOUR) * HOUR), until: now };
    case 'custom': {
      const days = [dayOf(range.from), dayOf(range.to)];
      const since = Math.min(...days);
      return { since, until: Math.max(since, Math.min(midnight(Math.max(...days), 1), now)) };
    }
  }
}

/** The same, open where it lasts until now: clocks differ, and what is newer than now is not left out. */
export function counted(period: Period, range: Range, now: number): Period {
  return { since: range.name === 'all' ? -Infinity : period.since, until: period.until >= now ? Infinity : period.until };
}

/**
 * The period to compare one with: the one before it, of the same length.
 *
 * One that begins at a local midnight is compared with the same time of the day before where it is a day or shorter,
 * of the week before where it is a week or shorter.
 */
export function before(period: Period, now: number): Period {
  const length = period.until - period.since;
  if (midnight(period.since) === period.since && length <= 7 * DAY) {
    const since = midnight(period.since, length <= DAY ? -1 : -7);
    return { since, until: floor(since + length, now) };
  }
  const step = length > MINUTES_FOR ? HOUR : MINUTE;
  const full = Math.max(Math.floor(length / step) * step, Math.min(length, step));
  return { since: period.since - full, until: period.since };
}

/** Into what parts a period is best cut to be looked at. */
export function fitting(period: Period): Slice {
  const length = period.until - period.since;
  return length <= MINUTES_FOR ? 'hour' : length <= 63 * DAY ? 'day' : 'week';
}

/** The calendar's parts of a period, in larger steps than wished where they would be too many. */
export function parts(period: Period, slice: Slice): { readonly slice: Slice; readonly parts: readonly Period[] } {
  const length = period.until - period.since;
  let fine = slice;
  if (fine === 'hour' && length > MOST_PARTS * HOUR) fine = 'day';
  if (fine === 'day' && length > MOST_PARTS * DAY) fine = 'week';
  const edges = [period.since];
  for (let edge = next(period.since, fine); edge < period.until; edge = next(edge, fine)) edges.push(edge);
  return { slice: fine, parts: edges.map((since, place) => ({ since, until: edges[place + 1] ?? period.until })) };
}

function next(edge: number, slice: Slice): number {
  const local = new Date(edge);
  switch (slice) {
    case 'hour':
      return edge - (local.getMinutes() * MINUTE + local.getSeconds() * SECOND + local.getMilliseconds() + (edge % 1)) + HOUR;
    case 'day':
      return midnight(edge, 1);
    case 'week':
      return midnight(edge, 7 - ((local.getDay() + 6) % 7));
  }
}

/** UTC, as the roll-up has them. */
function floor(time: number, now: number): number {
  const step = now - time < MINUTES_FOR - HOUR ? MINUTE : HOUR;
  return Math.floor(time / step) * step;
}

function dayOf(text: string | undefined): number {
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text ?? '') ?? [];
  const date = new Date(Number(year), Number(month) - 1, Number(day));
  if (Number.isNaN(date.getTime()) || date.getMonth() !== Number(month) - 1) throw new RangeError(`'${text}' is no day`);
  return date.getTime();
}
