/** Which files a stream has: the grammar of their names and the order in which they were opened. */

export const STREAMS = ['llm_calls', 'workflow_runs', 'workflow_details'] as const;
export type Stream = (typeof STREAMS)[number];

export interface Segment {
  readonly name: string;
  readonly stream: Stream;
  /** -1: shared by all writers. */
  readonly slot: number;
  readonly number: number;
}

const NAME = /^([A-Za-z0-9_-]+)(?:\.w(\p{Nd}{1,4}))?(?:\.(\p{Nd}{5,}))?\.jsonl$/u;

/** What a file's name says; null where it belongs to no stream. */
export function segmentOf(name: string): Segment | null {
  const match = NAME.exec(name);
  const stream = STREAMS.find((one) => one === match?.[1]);
  if (!match || !stream) return null;
  return { name, stream, slot: match[2] ? whole(match[2]) : -1, number: match[3] ? whole(match[3]) : 0 };
}

/** The segments among these names: by slot, then in the order in which they were opened. */
export function segmentsOf(names: readonly string[], stream?: Stream): Segment[] {
  return names
    .map(segmentOf)
    .filter((segment) => segment !== null)
    .filter((segment) => stream === undefined || segment.stream === stream)
    .sort(inOrder);
}

export function inOrder(one: Segment, other: Segment): number {
  return one.slot - other.slot || one.number - other.number || (one.name < other.name ? -1 : Number(one.name > other.name));
}

export function segmentName(stream: Stream, slot: number, number: number): string {
  return `${stream}${slot >= 0 ? `.w${slot}` : ''}${number ? `.${String(number).padStart(5, '0')}` : ''}.jsonl`;
}

/** Digits of any script, as the writers' grammar allows them. */
function whole(digits: string): number {
  let value = 0;
  for (const digit of digits) value = value * 10 + digitValue(digit);
  return value;
}

function digitValue(digit: string): number {
  // Decimal digits stand in runs of ten, zero first.
  const code = digit.codePointAt(0) ?? 0;
  if (code < 128) return code - 48;
  let zero = code;
  while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return code - zero;
}
