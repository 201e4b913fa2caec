/**
 * The reading of one table's lines: the thread's scanner, and what its numbers for names and combinations are in the
 * table's dictionary.
 */

import { COUNTS, Flag, LARGE, SERIES, WHO, type Dictionary, type Rows } from './columns';
import { runHash } from './names';
import type { CallRecord } from './records';
import type { RunRows } from './runTable';
import { Scanner } from './scanner';

/** What is known of a call beside its flags, until they are made; as in assembly/calls.ts. */
const Fact = { hasUser: 1 << 16, hasPlaceholderUser: 1 << 17, hasRunKey: 1 << 18, isOfToday: 1 << 19 } as const;
/** What earlier writers gave as the user of a call that belonged to a workflow. */
const PLACEHOLDER_USER = 'workflow';
const TRUNCATED_REASONS = ['length', 'max_tokens', 'MAX_TOKENS', 'max_output_tokens', 'model_length'];

let scanner: Scanner | null = null;
/** Of whom the scanner has the numbers. */
let owner: readonly number[] | null = null;

export class Scan {
  private readonly scanner = (scanner ??= new Scanner());
  private readonly names: number[] = [];
  private readonly series: number[] = [];
  private readonly who: number[] = [];
  private large: Rows['large'][number][] = [];

  constructor(private readonly dictionary: Dictionary) {}

  /** Bytes of lines that fit. */
  get most(): number {
    return this.scanner.input.length;
  }

  /** Takes whole lines, of which the functions below speak. Nothing else may read before their rows are taken. */
  load(lines: Uint8Array): void {
    if (owner !== this.names) this.forget();
    this.scanner.input.set(lines);
  }

  /** Returns where it stopped: at the end, at a line for the slow way, or where there is no room. */
  readCalls(start: number, end: number): number {
    return this.scanner.exports.readCalls(start, end);
  }

  readRuns(start: number, end: number): number {
    return this.scanner.exports.readRuns(start, end);
  }

  hasRoom(): boolean {
    return this.scanner.exports.hasRoom() !== 0;
  }

  /** Makes room; its rows must have been taken. */
  forget(): void {
    owner = this.names;
    this.scanner.exports.empty();
    this.scanner.exports.forget();
    this.names.length = this.series.length = this.who.length = this.large.length = 0;
  }

  /** Adds a call that was read the slow way; there must be room. */
  addCall(call: CallRecord, place: number): void {
    const { exports: x } = this.scanner;
    x.begin();
    const counts = [call.input, call.output, call.latency, call.cacheRead, call.cacheWrite, call.reasoning, call.retries];
    const costs = [call.estimated, call.actual, call.baseline].map((cost) => cost ?? NaN);
    this.scanner.doubles(x.numbers.value, 4 + COUNTS.length).set([call.time, ...costs, ...counts.map((count) => count ?? 0)]);
    const series = [call.workflow, call.step, call.provider, call.model, call.tier, call.project, call.task, call.errorType];
    this.scanner.words(x.series.value, SERIES.length).set(series.map((text) => this.foreign(text)));
    this.scanner.words(x.who.value, WHO.length).set([call.user, call.session].map((text) => this.foreign(text)));
    const row = x.callRows();
    for (const [at, column] of COUNTS.entries()) {
      const value = counts[at] ?? 0;
      if (!(value >= 0 && value < LARGE)) this.large.push({ row, column, value });
    }
    x.addCall(place, call.runId ? runHash(call.runId) : 0, factsOf(call));
  }

  /** The calls that were read, until the next ones are. `origin`: where in the file the loaded lines begin. */
  takeCalls(origin: number): Rows {
    const { scanner } = this;
    const { exports: x } = scanner;
    const length = x.callRows();
    const at = scanner.words(x.callColumns.value, 15);
    const words = (place: number): Uint32Array<ArrayBuffer> => scanner.words(at[place]!, length);
    this.learn();
    const rows: Rows = {
      length, origin, large: this.large, settle: (from, until, by) => this.settle(from, until, by),
      time: scanner.doubles(at[0]!, length), cost: scanner.doubles(at[1]!, length), baseline: scanner.doubles(at[2]!, length),
      place: words(3), input: words(4), output: words(5), latency: words(6), cacheRead: words(7), cacheWrite: words(8),
      reasoning: words(9), retries: words(10), series: words(11), who: words(12), run: words(13), flags: scanner.halves(at[14]!, length),
    };
    const { series, who } = rows;
    for (let row = 0; row < length; row++) {
      series[row] = this.series[series[row]!]!;
      who[row] = this.who[who[row]!]!;
    }
    this.large = [];
    x.empty();
    return rows;
  }

  private settle(from: number, until: number, by: number): ReturnType<Rows['settle']> {
    const { exports: x } = this.scanner;
    x.settle(from, until, by);
    return { earliest: x.earliest.value, latest: x.latest.value, marks: x.marks.value };
  }

  /** As `takeCalls`. */
  takeRuns(origin: number): RunRows {
    const { scanner } = this;
    const { exports: x } = scanner;
    const length = x.runRows();
    const at = scanner.words(x.runColumns.value, 7);
    const words = (place: number): Uint32Array<ArrayBuffer> => scanner.words(at[place]!, length);
    this.learn();
    const workflow = words(1).map((name) => this.names[name]!);
    const offset = Float64Array.from(words(5), (place) => origin + place);
    const rows = { length, time: scanner.doubles(at[0]!, length), workflow, id: words(2), check: words(3), parent: words(4), offset, flags: scanner.bytes(at[6]!, length) };
    x.empty();
    return rows;
  }

  /** Gives what is new its numbers in the dictionary. */
  private learn(): void {
    const { exports: x } = this.scanner;
    const { series, who } = this.dictionary;
    this.learnNames();
    series.learn(this.scanner.words(x.allSeries.value, x.seriesSize() * series.width), x.seriesSize(), this.names, this.series);
    who.learn(this.scanner.words(x.allWho.value, x.whoSize() * who.width), x.whoSize(), this.names, this.who);
  }

  private learnNames(): void {
    const { exports: x } = this.scanner;
    const size = x.names.value;
    if (this.names.length === size) return;
    const ends = this.scanner.words(x.ends.value, size);
    const pool = this.scanner.bytes(x.pool.value, ends[size - 1]!);
    this.dictionary.names.learn(pool, ends, this.scanner.words(x.hashes.value, size), size, this.names);
  }

  /** The scanner's number for a text that only the dictionary has. */
  private foreign(text: string | null): number {
    this.learnNames();
    this.names.push(this.dictionary.names.of(text ?? ''));
    return this.scanner.exports.foreign();
  }
}

function factsOf(call: CallRecord): number {
  let facts = 0;
  if (!call.success) facts |= Flag.failed;
  if (call.cancelled) facts |= Flag.cancelled;
  if (call.fallback) facts |= Flag.fallback;
  if (TRUNCATED_REASONS.some((reason) => call.finishReasons.includes(reason))) facts |= Flag.truncated;
  if (call.underPytest) facts |= Flag.test;
  if (call.costSource === 'none') facts |= Flag.costless;
  if (call.input === null) facts |= Flag.inputUnknown;
  if (call.output === null) facts |= Flag.outputUnknown;
  if (call.workflow === null) facts |= Flag.noWorkflow;
  if (call.step === null) facts |= Flag.noStep;
  if (call.user !== null) facts |= Fact.hasUser;
  if (call.user === PLACEHOLDER_USER) facts |= Fact.hasPlaceholderUser;
  if (call.hasRunKey) facts |= Fact.hasRunKey;
  if (call.pid !== null || call.dialect !== null) facts |= Fact.isOfToday;
  return facts;
}
