/** Odd values of records: each field takes what it can of a JSON value, and nothing of the rest. */

import { Digits, type Json } from './json';

/** A double does not say what stands in the line: it must be read again, exactly. */
export class Inexact extends Error {}
/** A value that no Python reader decodes, in a field that is needed. */
export class Undecodable extends Error {}

export function text(value: Json | undefined): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') throw new Inexact();
  if (!(value instanceof Digits)) return null;
  if (!value.isWhole) return float(finite(value.value));
  const whole = BigInt(value.source);
  return (whole < 0n ? -whole : whole) < 1n << 64n ? String(whole) : null;
}

export function whole(value: Json | undefined): number | null {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'number') {
    if (!(Math.abs(value) < Number.MAX_SAFE_INTEGER)) throw new Inexact();
    return Math.trunc(value) + 0;
  }
  if (!(value instanceof Digits)) return null;
  const exact = value.isWhole ? BigInt(value.source) : BigInt(Math.trunc(finite(value.value)));
  return exact >= -(1n << 63n) && exact < 1n << 63n ? Number(exact) : null;
}

export function number(value: Json | undefined): number | null {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Inexact();
    return value;
  }
  if (!(value instanceof Digits)) return null;
  if (value.isWhole) return Number.isFinite(value.value) ? value.value : null;
  return finite(value.value);
}

export function flag(value: Json | undefined, otherwise: boolean): boolean {
  return typeof value === 'boolean' ? value : otherwise;
}

/** The texts of a list; null where it is none. */
export function texts(value: Json | undefined): string[] | null {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : null;
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new Undecodable();
  return value;
}

/** A float the way Python writes it. */
function float(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits = '', exponent = ''] = value.toExponential().split('e');
    return `${digits}e${exponent.startsWith('-') ? '-' : '+'}${exponent.slice(1).padStart(2, '0')}`;
  }
  if (Object.is(value, -0)) return '-0.0';
  const plain = String(value);
  return plain.includes('.') ? plain : `${plain}.0`;
}
