/** The time that a record's text means, in milliseconds since the epoch: all that Python's `fromisoformat` reads. */

const ZERO = 48;
const NINE = 57;
const MINUS = 45;
const PLUS = 43;
const COLON = 58;
const POINT = 46;
const COMMA = 44;
const WEEK = 87;
const ZULU = 90;
const DAY = 86_400_000;
const EARLIEST = -62_135_596_800_000;
const LATEST = 253_402_300_800_000;

/** Whether a text without an offset was read, whose meaning depends on this machine's time zone; readers reset it. */
export const local = { seen: false };

const encoder = new TextEncoder();

export function timeOf(text: string): number {
  const bytes = encoder.encode(text);
  return timeIn(bytes, 0, bytes.length);
}

/** The time between two places of a line; NaN where there is none. */
export function timeIn(bytes: Uint8Array, start: number, end: number): number {
  return new Reading(bytes, start, end).time();
}

/** Midnight UTC of a day; NaN where there is no such day. */
export function midnight(year: number, month: number, day: number): number {
  return isDate(year, month, day) ? midnightUtc(year, month, day) : NaN;
}

function isDate(year: number, month: number, day: number): boolean {
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
}

function midnightUtc(year: number, month: number, day: number): number {
  // Date.UTC takes years below 100 for those of the last century; 400 years are always as long.
  return Date.UTC(year + 400, month - 1, day) - 146_097 * DAY;
}

interface Clock {
  readonly milliseconds: number;
  /** Something stands behind it. */
  readonly more: boolean;
}

/** One text, read the way of Python 3.11: what it takes, oddities included, is what the command line counts. */
class Reading {
  constructor(
    private readonly bytes: Uint8Array,
    private readonly start: number,
    private readonly end: number,
  ) {}

  time(): number {
    const { start, end } = this;
    if (end - start < 7) return NaN;
    const length = this.dateLength();
    const date = length < 0 ? null : this.date(start + length);
    if (date === null) return NaN;
    if (end - start <= length) return this.local(date, 0);
    const separator = this.at(start + length);
    const from = start + length + (separator < 0x80 ? 1 : (separator & 0xf0) === 0xe0 ? 3 : (separator & 0xf0) === 0xf0 ? 4 : 2);
    let zone = from;
    do {
      const code = this.at(zone);
      if (code === PLUS || code === MINUS || code === ZULU) break;
    } while (++zone < end);
    const clock = this.clock(from, zone, true);
    if (clock === null) return NaN;
    if (zone >= end) return clock.more ? NaN : this.local(date, clock.milliseconds);
    let offset = 0;
    if (this.at(zone) === ZULU) {
      if (this.at(zone + 1) !== 0) return NaN;
    } else {
      const found = this.clock(zone + 1, end, false);
      if (found === null || found.more || found.milliseconds >= DAY) return NaN;
      // Less than a second is none.
      if (found.milliseconds >= 1000) offset = this.at(zone) === MINUS ? -found.milliseconds : found.milliseconds;
    }
    return within(date + clock.milliseconds - offset);
  }

  private at(place: number): number {
    return place < this.end ? this.bytes[place]! : 0;
  }

  private isDigit(place: number): boolean {
    const code = this.at(place);
    return code >= ZERO && code <= NINE;
  }

  private digits(place: number, count: number): number {
    let value = 0;
    for (let i = place; i < place + count; i++) {
      if (!this.isDigit(i)) return -1;
      value = value * 10 + this.at(i) - ZERO;
    }
    return value;
  }

  /** Where the date ends; -1 where there is none. */
  private dateLength(): number {
    const { start } = this;
    const length = this.end - start;
    if (length === 7) return 7;
    if (this.at(start + 4) === MINUS) {
      if (this.at(start + 5) !== WEEK) return 10;
      if (length <= 8 || this.at(start + 8) !== MINUS) return 8;
      if (length === 9) return -1;
      // A hyphen before two digits is rather the separator of a time than that of a day.
      return length > 10 && this.isDigit(start + 10) ? 8 : 10;
    }
    if (this.at(start + 4) !== WEEK) return 8;
    let digits = 7;
    while (digits < length && this.isDigit(start + digits)) digits += 1;
    if (digits < 9) return digits;
    return digits % 2 === 0 ? 7 : 8;
  }

  private date(end: number): number | null {
    const year = this.digits(this.start, 4);
    if (year < 0) return null;
    let place = this.start + 4;
    const divided = this.at(place) === MINUS;
    if (divided) place += 1;
    if (this.at(place) === WEEK) return this.weekDate(year, place + 1, end, divided);
    const month = this.digits(place, 2);
    place += 2;
    if (month < 0 || (divided && this.at(place++) !== MINUS)) return null;
    const day = this.digits(place, 2);
    return day >= 0 && place + 2 === end && isDate(year, month, day) ? midnightUtc(year, month, day) : null;
  }

  private weekDate(year: number, place: number, end: number, divided: boolean): number | null {
    const week = this.digits(place, 2);
    if (week < 0) return null;
    place += 2;
    let day = 1;
    if (place < end) {
      if (divided && this.at(place++) !== MINUS) return null;
      day = this.digits(place, 1);
    }
    if (year < 1 || week < 1 || week > 53 || day < 1 || day > 7) return null;
    const first = midnightUtc(year, 1, 1);
    const weekday = (new Date(first).getUTCDay() + 6) % 7;
    if (week === 53 && weekday !== 3 && !(weekday === 2 && isDate(year, 2, 29))) return null;
    const monday = first + (weekday > 3 ? 7 - weekday : -weekday) * DAY;
    const date = monday + ((week - 1) * 7 + day - 1) * DAY;
    return date >= EARLIEST && date < LATEST ? date : null;
  }

  /** Hours, then minutes, seconds and a fraction where they are there. */
  private clock(from: number, end: number, ofDay: boolean): Clock | null {
    const parts = [0, 0, 0];
    let place = from;
    let divided = true;
    for (let i = 0; i < 3; i++) {
      const value = this.digits(place, 2);
      if (value < 0 || (ofDay && value > (i === 0 ? 23 : 59))) return null;
      parts[i] = value;
      const code = this.at(place + 2);
      place += 3;
      if (i === 0) divided = code === COLON;
      if (place >= end) return { milliseconds: sum(parts, 0), more: code !== 0 };
      if (divided && code === COLON) continue;
      if (code === POINT || code === COMMA) break;
      if (divided) return null;
      place -= 1;
    }
    const count = Math.min(6, end - place);
    const value = this.digits(place, count);
    if (value < 0) return null;
    place += count;
    while (this.isDigit(place)) place += 1;
    return { milliseconds: sum(parts, value * 10 ** (6 - count)), more: this.at(place) !== 0 };
  }

  private local(date: number, milliseconds: number): number {
    local.seen = true;
    // Python looks at the offset of the day before as well.
    if (date < EARLIEST + DAY) return NaN;
    const day = new Date(date);
    const whole = Math.floor(milliseconds);
    const here = new Date(2000, 0, 1);
    here.setFullYear(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate());
    here.setHours(0, 0, 0, whole);
    return within(here.getTime() + (milliseconds - whole));
  }
}

function sum(parts: readonly number[], micros: number): number {
  const [hours = 0, minutes = 0, seconds = 0] = parts;
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + micros / 1000;
}

function within(time: number): number {
  return time >= EARLIEST && time < LATEST ? time : NaN;
}
