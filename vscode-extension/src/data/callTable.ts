/** The calls of one segment: what was read of each line becomes a row here, by whichever way it was read. */

import { Chunk, COUNTS, Flag, LARGE, SERIES, type Dictionary } from './columns';
import * as C from './columns';
import { hashOf } from './names';
import type { CallRecord } from './records';

/** What earlier writers gave as the user of a call that belonged to a workflow. */
export const PLACEHOLDER_USER = 'workflow';
export const TRUNCATED_REASONS = ['length', 'max_tokens', 'MAX_TOKENS', 'max_output_tokens', 'model_length'] as const;

const encoder = new TextEncoder();

/** One call between line and row. */
export class Draft {
  readonly series = new Uint32Array(SERIES.length);
  readonly who = new Uint32Array(2);
  /** In the order of COUNTS. */
  readonly counts = new Float64Array(COUNTS.length);
  /** One of the counts does not fit into 32 bits. */
  hasLarge = false;
  time = 0;
  /** NaN where it is not there, or not known. */
  estimated = 0;
  actual = NaN;
  baseline = NaN;
  run = 0;
  success = true;
  cancelled = false;
  fallback = false;
  truncated = false;
  test = false;
  costless = false;
  estimatedUnknown = false;
  inputUnknown = false;
  outputUnknown = false;
  hasWorkflow = false;
  hasStep = false;
  hasUser = false;
  hasPlaceholderUser = false;
  hasRunKey = false;
  /** It says what process or dialect made it, as all do that are written today. */
  isOfToday = false;

  /** Back to a call of which nothing is known. `series`: the names that it then has. */
  reset(series: Uint32Array): void {
    this.series.set(series);
    this.counts.fill(0);
    this.who[0] = this.who[1] = 0;
    this.hasLarge = false;
    this.estimated = 0;
    this.actual = NaN;
    this.baseline = NaN;
    this.run = 0;
    this.success = true;
    this.cancelled = this.fallback = this.truncated = this.test = this.costless = false;
    this.estimatedUnknown = this.inputUnknown = this.outputUnknown = false;
    this.hasWorkflow = this.hasStep = this.hasUser = this.hasPlaceholderUser = this.hasRunKey = this.isOfToday = false;
  }
}

export class CallTable {
  readonly chunks: Chunk[] = [];
  /** A time had no offset, so that what it means depends on this machine's time zone. */
  hasLocalTimes = false;
  private readonly tuple = new Uint32Array(2);

  /** `room`: an empty chunk that may be used. */
  constructor(readonly dictionary: Dictionary, private room: Chunk | null = null) {}

  get length(): number {
    return this.chunks.reduce((rows, chunk) => rows + chunk.length, 0);
  }

  /** Adds a row; an error's type counts only where the call failed. */
  add(draft: Draft, offset: number): void {
    let chunk = this.chunks.at(-1);
    let row = chunk ? chunk.next(offset) : -1;
    if (!chunk || row < 0) {
      chunk = this.room ?? new Chunk(offset);
      chunk.empty(offset);
      this.room = null;
      this.chunks.push(chunk);
      row = chunk.next(offset);
    }
    chunk.setTime(row, draft.time);
    const cost = Number.isNaN(draft.actual) ? draft.estimated : draft.actual;
    chunk.cost[row] = cost;
    chunk.baseline[row] = Number.isNaN(cost) ? NaN : draft.baseline;
    this.addCounts(draft, chunk, row);
    if (draft.cancelled || draft.success) draft.series[C.ERROR] = 0;
    chunk.series[row] = this.dictionary.series.of(draft.series);
    this.tuple[C.USER] = draft.hasPlaceholderUser && !draft.isOfToday ? 0 : draft.who[C.USER]!;
    this.tuple[C.SESSION] = draft.who[C.SESSION]!;
    chunk.who[row] = this.dictionary.who.of(this.tuple);
    chunk.run[row] = draft.run;
    chunk.flags[row] = flagsOf(draft);
  }

  private addCounts({ counts, hasLarge, inputUnknown, outputUnknown }: Draft, chunk: Chunk, row: number): void {
    if (inputUnknown) counts[0] = 0;
    if (outputUnknown) counts[1] = 0;
    chunk.input[row] = counts[0]!;
    chunk.output[row] = counts[1]!;
    chunk.latency[row] = counts[2]!;
    chunk.cacheRead[row] = counts[3]!;
    chunk.cacheWrite[row] = counts[4]!;
    chunk.reasoning[row] = counts[5]!;
    chunk.retries[row] = counts[6]!;
    if (!hasLarge) return;
    for (const [place, name] of COUNTS.entries()) if (isLarge(counts[place]!)) chunk.setLarge(name, row, counts[place]!);
  }

  addRecord(record: CallRecord, offset: number): void {
    this.add(this.drafted(record), offset);
  }

  private drafted(record: CallRecord): Draft {
    const { names } = this.dictionary;
    const draft = new Draft();
    draft.time = record.time;
    draft.estimated = record.estimated ?? NaN;
    draft.actual = record.actual ?? NaN;
    draft.baseline = record.baseline ?? NaN;
    draft.counts.set([
      record.input ?? 0, record.output ?? 0, record.latency, record.cacheRead ?? 0, record.cacheWrite ?? 0, record.reasoning ?? 0,
      record.retries,
    ]);
    draft.hasLarge = draft.counts.some(isLarge);
    draft.series.set([
      record.workflow, record.step, record.provider, record.model, record.tier, record.project, record.task, record.errorType,
    ].map((text) => names.of(text ?? '')));
    draft.who.set([names.of(record.user ?? ''), names.of(record.session ?? '')]);
    draft.run = record.runId ? runHash(record.runId) : 0;
    draft.success = record.success;
    draft.cancelled = record.cancelled;
    draft.fallback = record.fallback;
    draft.truncated = TRUNCATED_REASONS.some((reason) => record.finishReasons.includes(reason));
    draft.test = record.underPytest;
    draft.costless = record.costSource === 'none';
    draft.inputUnknown = record.input === null;
    draft.outputUnknown = record.output === null;
    draft.hasWorkflow = record.workflow !== null;
    draft.hasStep = record.step !== null;
    draft.hasUser = record.user !== null;
    draft.hasPlaceholderUser = record.user === PLACEHOLDER_USER;
    draft.hasRunKey = record.hasRunKey;
    draft.isOfToday = record.pid !== null || record.dialect !== null;
    return draft;
  }
}

export function isLarge(count: number): boolean {
  return !(count >= 0 && count < LARGE);
}

export function runHash(id: string): number {
  const bytes = encoder.encode(id);
  return hashOf(bytes, 0, bytes.length) || 1;
}

function flagsOf(draft: Draft): number {
  let flags = 0;
  if (draft.cancelled) flags |= Flag.cancelled;
  else if (!draft.success) flags |= Flag.error;
  if (draft.test) flags |= Flag.test;
  if (draft.fallback) flags |= Flag.fallback;
  if (draft.truncated) flags |= Flag.truncated;
  if (draft.costless) flags |= Flag.costless;
  if (draft.isOfToday) return flags;
  if (draft.hasRunKey ? !draft.hasUser : draft.hasPlaceholderUser) flags |= draft.hasRunKey ? Flag.withRun : Flag.withoutRun;
  if (draft.inputUnknown) flags |= Flag.inputUnknown;
  if (draft.outputUnknown) flags |= Flag.outputUnknown;
  if (!draft.hasWorkflow) flags |= Flag.noWorkflow;
  if (!draft.hasStep) flags |= Flag.noStep;
  if (!draft.success) flags |= Flag.failed;
  return flags;
}
