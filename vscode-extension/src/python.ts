/** Where Python code defines a workflow, and which file of this machine is meant by a path of another one; pure. */

/** Places in the order in which they are believed. */
const KINDS = ['decorated', 'entered', 'function', 'attribute'] as const;
export type Kind = (typeof KINDS)[number];

export interface Place {
  /** From 0. */
  readonly line: number;
  readonly kind: Kind;
}

// `workflow("name")` and `workflow(name="name")`, over several lines as well.
const NAMED = /\bworkflow\(\s*(?:name\s*=\s*)?[rRuU]?(["'])([^"'\r\n]{1,200})\1/g;
const DECORATOR = /^[ \t]*@(?:\w+\.)*$/;
const WITH = /^[ \t]*(?:async[ \t]+)?with\b[^#]*$/;
const BARE_DECORATOR = /^[ \t]*@(?:\w+\.)*workflow\b/;
const DEFINITION = /^([ \t]*)(?:async[ \t]+)?(def|class)[ \t]+(\w+)/;
// Workflow classes of the Empathy Framework say their name so.
const ATTRIBUTE = /^[ \t]+name(?:[ \t]*:[ \t]*str)?[ \t]*=[ \t]*(["'])([^"'\r\n]{1,200})\1/;

/** Where a text defines the workflow of this name: the place that is believed most; null where there is none. */
export function findWorkflow(text: string, name: string): Place | null {
  if (!name || !text.includes(lastPart(name))) return null;
  const found = [...named(text, name), ...defined(text, name)];
  return found.sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || a.line - b.line)[0] ?? null;
}

export function isSurer(one: Kind, other: Kind): boolean {
  return KINDS.indexOf(one) < KINDS.indexOf(other);
}

export const SUREST: Kind = KINDS[0];

function* named(text: string, name: string): Iterable<Place> {
  for (const match of text.matchAll(NAMED)) {
    if (match[2] !== name) continue;
    const before = text.slice(text.lastIndexOf('\n', match.index) + 1, match.index);
    const line = lineAt(text, match.index);
    if (DECORATOR.test(before)) yield { line, kind: 'decorated' };
    else if (WITH.test(before)) yield { line, kind: 'entered' };
  }
}

/** Decorated functions are named after themselves, methods `Class.method`. */
function* defined(text: string, name: string): Iterable<Place> {
  /** The classes around the line, with their indentation. */
  const around: { indent: number; name: string }[] = [];
  let decorated: number | null = null;
  for (const [number, line] of text.split('\n').entries()) {
    if (BARE_DECORATOR.test(line)) decorated ??= number;
    const attribute = ATTRIBUTE.exec(line);
    if (attribute?.[2] === name && around.some((one) => /workflow/i.test(one.name))) yield { line: number, kind: 'attribute' };
    const definition = DEFINITION.exec(line);
    if (!definition) continue;
    const [, white = '', keyword, own = ''] = definition;
    while ((around.at(-1)?.indent ?? -1) >= white.length) around.pop();
    const full = [...around.map((one) => one.name), own].join('.');
    if (keyword === 'class') around.push({ indent: white.length, name: own });
    else if (decorated !== null && (full === name || own === name)) yield { line: decorated, kind: 'function' };
    decorated = null;
  }
}

function lineAt(text: string, index: number): number {
  let line = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** The parts of a path of any system, without drive and root. */
export function partsOf(file: string): string[] {
  return file.split(/[/\\]/).filter((part) => part !== '' && part !== '.' && !/^[A-Za-z]:$/.test(part));
}

/** How many parts two paths have in common, from their ends. */
export function commonEnd(one: readonly string[], other: readonly string[]): number {
  let count = 0;
  while (count < one.length && count < other.length && one.at(-1 - count) === other.at(-1 - count)) count += 1;
  return count;
}

/** The one of the files that has the longest end in common with a recorded path; null where two are as likely. */
export function likeliest<T>(recorded: string, files: readonly (readonly [file: T, path: string])[]): { file: T; common: number } | null {
  const parts = partsOf(recorded);
  const ranked = files
    .map(([file, one]) => ({ file, common: commonEnd(parts, partsOf(one)) }))
    .filter((one) => one.common > 0)
    .sort((a, b) => b.common - a.common);
  const [best, second] = ranked;
  return best && best.common !== second?.common ? best : null;
}

/** A path that makes Windows ask another machine, or a device, for it: such a path is not even looked at. */
export function isRemotePath(file: string): boolean {
  return /^[/\\]{2}/.test(file);
}
