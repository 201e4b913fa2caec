/** Numbers and times as people read them; what is not known is said to be so, never shown as 0. */

import type { Figures } from '../shared/protocol';
import { locale, t } from './texts';

const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${locale()} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(locale(), options);
    formats.set(key, format);
  }
  return format;
}

const inDollars = (fraction: number, least = fraction): Intl.NumberFormat =>
  numberFormat({ style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol', minimumFractionDigits: least, maximumFractionDigits: fraction });

/** USD: two digits from one dollar on, four below it; less than those show is said to be less. */
export function money(value: number | null): string {
  if (value === null) return t('unknown');
  const size = Math.abs(value);
  if (size === 0) return inDollars(2).format(0);
  if (size >= 0.9995) return inDollars(2).format(value);
  if (size >= 0.00005) return inDollars(4).format(value);
  return `< ${inDollars(4).format(0.0001)}`;
}

/** What calls cost together; null where not one of their costs is known. */
export function knownCost({ calls, cost, unknownCost }: Pick<Figures, 'calls' | 'cost' | 'unknownCost'>): number | null {
  return calls > 0 && unknownCost === calls ? null : cost;
}

/** USD with all digits that mean something, for details and titles. */
export function exactMoney(value: number | null): string {
  return value === null ? t('unknown') : inDollars(8, 2).format(value);
}

/** USD for the axis of a chart, as short as its steps allow. */
export function axisMoney(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return inDollars(0).format(0);
  if (size >= 1000) return numberFormat({ style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol', notation: 'compact', minimumFractionDigits: 0, maximumFractionDigits: 1 }).format(value);
  return inDollars(size >= 10 ? 0 : size >= 0.1 ? 2 : 5, size >= 10 ? 0 : size >= 0.1 ? 2 : 0).format(value);
}

/** Milliseconds as ms, s, min or h. */
export function duration(ms: number | null): string {
  if (ms === null) return '–';
  if (ms < 999.5) return t('{0} ms', numberFormat({ maximumFractionDigits: ms < 10 ? 1 : 0 }).format(ms));
  const seconds = ms / 1000;
  if (seconds < 9.995) return t('{0} s', numberFormat({ minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(seconds));
  if (seconds < 59.95) return t('{0} s', numberFormat({ minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(seconds));
  const minutes = Math.round(seconds / 60);
  if (seconds < 3600) {
    const whole = Math.floor(Math.round(seconds) / 60);
    const rest = Math.round(seconds) % 60;
    return whole < 10 && rest > 0 ? t('{0} min {1} s', whole, rest) : t('{0} min', minutes);
  }
  return t('{0} h', numberFormat({ maximumFractionDigits: 1 }).format(seconds / 3600));
}

/** Counts, shortened from 10,000 on: 12.3k. */
export function tokens(value: number): string {
  if (value < 10_000) return count(value);
  if (value < 999_950) return `${numberFormat({ maximumFractionDigits: value < 99_950 ? 1 : 0 }).format(value / 1000)}k`;
  if (value < 999_950_000) return `${numberFormat({ maximumFractionDigits: 1 }).format(value / 1_000_000)}M`;
  return `${numberFormat({ maximumFractionDigits: 1 }).format(value / 1_000_000_000)}B`;
}

export function count(value: number): string {
  return numberFormat({ maximumFractionDigits: 0 }).format(value);
}

/** 0 to 100; nothing is rounded up to 100 %, or down to 0 %, that is not. */
export function percent(value: number | null): string {
  if (value === null) return '–';
  const shown = value > 99.9 && value < 100 ? 99.9 : value > 0 && value < 0.1 ? 0.1 : value;
  return numberFormat({ style: 'percent', maximumFractionDigits: 1 }).format(shown / 100);
}

const times = new Map<string, Intl.DateTimeFormat>();

function timeFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale()} ${JSON.stringify(options)}`;
  let format = times.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(locale(), options);
    times.set(key, format);
  }
  return format;
}

/** Time of day for what was today, else the day too. */
export function shortTime(time: number, now: number): string {
  const [then, today] = [new Date(time), new Date(now)];
  if (then.toDateString() === today.toDateString()) return timeFormat({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }).format(then);
  if (then.getFullYear() === today.getFullYear()) return timeFormat({ month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(then);
  return timeFormat({ year: 'numeric', month: 'short', day: 'numeric' }).format(then);
}

/** The same without seconds, where there is little room. */
export function minuteTime(time: number, now: number): string {
  return new Date(time).toDateString() === new Date(now).toDateString() ? hour(time) : shortTime(time, now);
}

export function fullTime(time: number): string {
  return timeFormat({ dateStyle: 'medium', timeStyle: 'medium' }).format(time);
}

export function day(time: number): string {
  return timeFormat({ month: 'short', day: 'numeric' }).format(time);
}

export function hour(time: number): string {
  return timeFormat({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(time);
}

/** How long ago, in the one unit that fits. */
export function ago(time: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - time) / 1000));
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' });
  if (seconds < 60) return relative.format(-seconds, 'second');
  if (seconds < 3600) return relative.format(-Math.round(seconds / 60), 'minute');
  if (seconds < 86_400) return relative.format(-Math.round(seconds / 3600), 'hour');
  return relative.format(-Math.round(seconds / 86_400), 'day');
}

/** A local calendar day as YYYY-MM-DD, as date fields and ranges have it. */
export function isoDay(time: number): string {
  const date = new Date(time);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
}

/** What stands where a record has no name. */
export function named(name: string): string {
  return name === '' ? t('(none)') : name;
}
