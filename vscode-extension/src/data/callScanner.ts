/** A call's line to a draft of its row, without JSON.parse and without making a text. */

import { anyNumber, eachText, found, isNull, passBlanks, plainText, QUOTE, wholeNumber } from './bytes';
import { Draft, isLarge, PLACEHOLDER_USER, TRUNCATED_REASONS } from './callTable';
import * as C from './columns';
import type { Names } from './names';
import { FieldReader, span, type Span } from './fields';
import { isText } from './objects';
import { timeIn } from './times';

const encoder = new TextEncoder();
const PLACEHOLDER = encoder.encode(PLACEHOLDER_USER);
const TRUNCATED = TRUNCATED_REASONS.map((reason) => encoder.encode(reason));
const NONE = encoder.encode('none');
const INPUT_TOKENS = encoder.encode('input_tokens');
const OUTPUT_TOKENS = encoder.encode('output_tokens');
const ESTIMATED_COST = encoder.encode('estimated_cost');

const ATTUNE = [
  'run_id', 'cache_read_tokens', 'cache_write_tokens', 'reasoning_tokens', 'finish_reasons', 'cost_source', 'baseline_cost',
  'cancelled', 'project', 'dialect', 'pid', 'under_pytest', 'unknown',
] as const;

class Attune extends FieldReader {
  readonly run = span();
  private readonly dialect = span();
  private readonly source = span();

  constructor(names: Names, private readonly draft: Draft) {
    super(ATTUNE, names);
  }

  reset(): void {
    this.run.start = 0;
  }

  protected field(field: number, b: Uint8Array, p: number): number {
    const { draft } = this;
    switch (field) {
      case 0:
        return this.span(b, p, this.run);
      case 1:
      case 2:
      case 3:
        return countInto(draft, b, p, field + 2);
      case 4:
        return isNull(b, p) ? p + 4 : eachText(b, p, this.reason);
      case 5: {
        this.source.start = 0;
        const after = this.span(b, p, this.source);
        if (after >= 0 && this.source.start) draft.costless = isText(b, this.source.start, this.source.end, NONE);
        return after;
      }
      case 6: {
        if (isNull(b, p)) return p + 4;
        const after = anyNumber(b, p);
        if (after >= 0) draft.baseline = found.number;
        return after;
      }
      case 7: {
        const after = this.flag(b, p, false);
        draft.cancelled = found.flag;
        return after;
      }
      case 8:
        return this.name(b, p, draft.series, C.PROJECT);
      case 9: {
        this.dialect.start = 0;
        const after = this.span(b, p, this.dialect);
        if (after >= 0 && this.dialect.start) draft.isOfToday = true;
        return after;
      }
      case 10: {
        if (isNull(b, p)) return p + 4;
        draft.isOfToday = true;
        return wholeNumber(b, p);
      }
      case 11: {
        const after = this.flag(b, p, false);
        draft.test = found.flag;
        return after;
      }
      default:
        return isNull(b, p) ? p + 4 : eachText(b, p, this.unknown);
    }
  }

  private readonly reason = (b: Uint8Array, start: number, end: number): void => {
    for (const reason of TRUNCATED) if (isText(b, start, end, reason)) this.draft.truncated = true;
  };

  private readonly unknown = (b: Uint8Array, start: number, end: number): void => {
    if (isText(b, start, end, INPUT_TOKENS)) this.draft.inputUnknown = true;
    else if (isText(b, start, end, OUTPUT_TOKENS)) this.draft.outputUnknown = true;
    else if (isText(b, start, end, ESTIMATED_COST)) this.draft.estimatedUnknown = true;
  };
}

class Metadata extends FieldReader {
  readonly run = span();
  hasRunKey = false;
  readonly attune: Attune;

  constructor(names: Names, draft: Draft) {
    super(['run_id', 'attune'], names);
    this.attune = new Attune(names, draft);
  }

  reset(): void {
    this.run.start = 0;
    this.hasRunKey = false;
    this.attune.reset();
  }

  protected field(field: number, b: Uint8Array, p: number): number {
    if (field === 1) return isNull(b, p) ? p + 4 : this.attune.read(b, p);
    this.hasRunKey = true;
    return this.span(b, p, this.run);
  }
}

const TOP = [
  'call_id', 'timestamp', 'workflow_name', 'step_name', 'provider', 'model_id', 'tier', 'task_type', 'error_type', 'user_id',
  'session_id', 'input_tokens', 'output_tokens', 'latency_ms', 'retry_count', 'estimated_cost', 'actual_cost', 'fallback_used',
  'success', 'metadata',
] as const;
/** By field from workflow_name on: its place in the series. */
const SERIES_OF = [C.WORKFLOW, C.STEP, C.PROVIDER, C.MODEL, C.TIER, C.TASK, C.ERROR] as const;
/** By field from input_tokens on: its place in the counts. */
const COUNT_OF = [0, 1, 2, 6] as const;

export class CallScanner extends FieldReader {
  private readonly metadata: Metadata;
  private hasId = false;
  private time = NaN;
  private readonly ofNothing: Uint32Array;

  constructor(names: Names, private readonly draft = new Draft()) {
    super(TOP, names);
    this.metadata = new Metadata(names, draft);
    this.ofNothing = Uint32Array.from(
      C.SERIES, (name) => names.of(name === 'provider' ? 'anthropic' : name === 'tier' ? 'capable' : name === 'task' ? 'unknown' : ''));
  }

  /** Reads the line that begins at a place; returns the place of its newline, or -1 where the slow way must read it. */
  scan(b: Uint8Array, start: number): number {
    this.draft.reset(this.ofNothing);
    this.metadata.reset();
    this.hasId = false;
    this.time = NaN;
    const end = this.read(b, start);
    if (end < 0 || !this.hasId || Number.isNaN(this.time)) return -1;
    const newline = passBlanks(b, end);
    if (b[newline] !== 10) return -1;
    this.complete(b);
    return newline;
  }

  get row(): Draft {
    return this.draft;
  }

  protected field(field: number, b: Uint8Array, p: number): number {
    const { draft } = this;
    switch (field) {
      case 0: {
        const after = plainText(b, p);
        this.hasId = after > p + 2 && found.ascii;
        return after;
      }
      case 1: {
        const after = plainText(b, p);
        if (after < 0 || !found.ascii) return -1;
        this.time = timeIn(b, p + 1, after - 1);
        return after;
      }
      case 2:
      case 3:
        if (b[p] === QUOTE) {
          if (field === 2) draft.hasWorkflow = true;
          else draft.hasStep = true;
        }
        return this.name(b, p, draft.series, SERIES_OF[field - 2]!);
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
        return this.name(b, p, draft.series, SERIES_OF[field - 2]!);
      case 9:
      case 10:
        return this.whose(b, p, field - 9);
      case 11:
      case 12:
      case 13:
      case 14:
        return countInto(draft, b, p, COUNT_OF[field - 11]!);
      case 15:
      case 16: {
        if (isNull(b, p)) return p + 4;
        const after = anyNumber(b, p);
        if (after >= 0) draft[field === 15 ? 'estimated' : 'actual'] = found.number;
        return after;
      }
      case 17: {
        const after = this.flag(b, p, false);
        draft.fallback = found.flag;
        return after;
      }
      case 18: {
        const after = this.flag(b, p, true);
        draft.success = found.flag;
        return after;
      }
      default:
        return isNull(b, p) ? p + 4 : this.metadata.read(b, p);
    }
  }

  private whose(b: Uint8Array, p: number, place: number): number {
    const after = this.name(b, p, this.draft.who, place);
    if (place === C.USER && after >= 0 && b[p] === QUOTE) {
      this.draft.hasUser = true;
      this.draft.hasPlaceholderUser = isText(b, p + 1, after - 1, PLACEHOLDER);
    }
    return after;
  }

  /** What depends on more than one member. */
  private complete(b: Uint8Array): void {
    const { draft, metadata } = this;
    const inner = metadata.attune.run;
    const outer = metadata.run;
    draft.time = this.time;
    if (draft.estimatedUnknown) draft.estimated = NaN;
    const run = inner.start ? inner : outer;
    draft.run = run.end > run.start && run.start ? run.hash || 1 : 0;
    draft.hasRunKey = metadata.hasRunKey && !(inner.start && outer.start && isSame(b, inner, outer));
  }
}

/** A whole number, into the counts. */
function countInto(draft: Draft, b: Uint8Array, p: number, place: number): number {
  if (isNull(b, p)) return p + 4;
  const end = wholeNumber(b, p);
  if (end >= 0) {
    draft.counts[place] = found.number;
    if (isLarge(found.number)) draft.hasLarge = true;
  }
  return end;
}

function isSame(b: Uint8Array, one: Span, other: Span): boolean {
  if (one.hash !== other.hash || one.end - one.start !== other.end - other.start) return false;
  for (let i = one.start, j = other.start; i < one.end; i++, j++) if (b[i] !== b[j]) return false;
  return true;
}
