/** A line's JSON, taken and refused as the Python readers do. */

/** Deeper than this no Python reader goes. */
const DEEPEST = 990;

/** A number as it stands in the line, for where a double is not enough. */
export class Digits {
  constructor(readonly source: string) {}

  get value(): number {
    return Number(this.source);
  }

  get isWhole(): boolean {
    return /^-?\d+$/.test(this.source);
  }
}

/** A value of JSON.parse, or of `exactly`, whose numbers are Digits. */
export type Json = null | boolean | number | string | Digits | readonly Json[] | JsonObject;
export interface JsonObject { readonly [key: string]: Json | undefined }

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

export interface LineText {
  readonly text: string;
  /** Some bytes were no UTF-8; they are U+FFFD in the text. */
  readonly damaged: boolean;
}

export function textOf(bytes: Uint8Array): LineText {
  try {
    return { text: strict.decode(bytes), damaged: false };
  } catch {
    return { text: lenient.decode(bytes), damaged: true };
  }
}

/** Throws a SyntaxError where the text is no JSON that the Python readers take. */
export function parse(text: string): Json {
  if (hasLoneSurrogate(text) || isTooDeep(text)) throw new SyntaxError('no JSON');
  return JSON.parse(text) as Json;
}

/** The same with every number as its digits. The text is known to be JSON. */
export function exactly(text: string): Json {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"(?:\s*:)?|-?\d[\d.eE+-]*/g, (found) =>
    found.endsWith(':') ? found : found.startsWith('"') ? `"s${found.slice(1)}` : `"n${found}"`);
  return JSON.parse(marked, (_, value: Json) =>
    typeof value !== 'string' ? value : value.startsWith('s') ? value.slice(1) : new Digits(value.slice(1))) as Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits);
}

export function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

export function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

const ESCAPED = /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F])?/g;

function hasLoneSurrogate(text: string): boolean {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return false;
  ESCAPED.lastIndex = 0;
  for (let match = ESCAPED.exec(text); match; match = ESCAPED.exec(text)) {
    if (match[1] !== undefined) return true;
    // A backslash takes the character behind it, also where that is another backslash.
    if (match[0] === '\\') ESCAPED.lastIndex += 1;
  }
  return false;
}

function isTooDeep(text: string): boolean {
  if (text.length <= DEEPEST) return false;
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (quoted) {
      if (code === 92) i += 1;
      else if (code === 34) quoted = false;
    } else if (code === 34) quoted = true;
    else if (code === 123 || code === 91) {
      if (++depth > DEEPEST) return true;
    } else if (code === 125 || code === 93) depth -= 1;
  }
  return false;
}
