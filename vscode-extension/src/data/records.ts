/** The tolerant reading of one line's object, field by field, as `LLMCallRecord.from_dict` and its sisters do it. */

import { exactly, isObject, listOf, objectOf, parse, textOf, type Json, type JsonObject } from './json';
import { timeOf } from './times';
import * as take from './values';

export interface CallRecord {
  readonly id: string;
  readonly timestamp: string;
  readonly time: number;
  readonly workflow: string | null;
  readonly step: string | null;
  readonly user: string | null;
  readonly session: string | null;
  readonly task: string;
  readonly provider: string;
  readonly tier: string;
  readonly model: string;
  /** null: not known. */
  readonly input: number | null;
  readonly output: number | null;
  readonly estimated: number | null;
  readonly actual: number | null;
  readonly latency: number;
  readonly fallback: boolean;
  readonly retries: number;
  readonly success: boolean;
  readonly errorType: string | null;
  /** `metadata` has a run_id that is not the repetition of the one below `attune`. */
  readonly hasRunKey: boolean;
  readonly runId: string | null;
  readonly stageId: string | null;
  readonly cacheRead: number | null;
  readonly cacheWrite: number | null;
  readonly reasoning: number | null;
  readonly finishReasons: readonly string[];
  readonly costSource: string | null;
  readonly baseline: number | null;
  readonly cancelled: boolean;
  readonly project: string | null;
  readonly dialect: string | null;
  readonly pid: number | null;
  readonly underPytest: boolean;
  /** Keys whose values are not known. */
  readonly unknown: readonly string[];
}

export interface StageRecord {
  readonly name: string;
  readonly tier: string;
  readonly model: string;
  readonly cost: number | null;
  readonly latency: number;
  readonly success: boolean;
  readonly skipped: boolean;
  readonly cancelled: boolean;
  readonly id: string | null;
  readonly parentId: string | null;
  /** When it began; null where that is not known. */
  readonly begin: number | null;
}

export interface RunRecord {
  readonly id: string;
  readonly workflow: string;
  readonly startedAt: string;
  readonly time: number;
  readonly cost: number;
  readonly baseline: number;
  readonly savings: number;
  readonly duration: number;
  readonly success: boolean;
  readonly cancelled: boolean;
  readonly project: string | null;
  readonly parentId: string | null;
  readonly parentSpanId: string | null;
  readonly underPytest: boolean;
  readonly stages: readonly StageRecord[];
}

/** null: the line is no such record. */
export function callIn(line: Uint8Array): CallRecord | null {
  return recordIn(line, callOf, (call) => [
    call.id, call.timestamp, call.workflow, call.step, call.user, call.session, call.task, call.provider, call.tier, call.model,
    call.errorType, call.runId, call.costSource, call.project, call.dialect, ...call.finishReasons, ...call.unknown,
  ]);
}

export function runIn(line: Uint8Array): RunRecord | null {
  return recordIn(line, runOf, (run) => [
    run.id, run.workflow, run.startedAt, run.project, run.parentId, ...run.stages.flatMap((stage) => [stage.name, stage.tier]),
  ]);
}

function recordIn<T>(line: Uint8Array, of: (data: JsonObject) => T | null, textsOf: (record: T) => readonly (string | null)[]): T | null {
  const { text, damaged } = textOf(line);
  let record: T | null;
  try {
    record = one(text, of);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof take.Undecodable) return null;
    throw error;
  }
  // Damaged bytes harm only where they stand in what is needed.
  return record && damaged && textsOf(record).some((value) => value?.includes('\ufffd')) ? null : record;
}

function one<T>(text: string, of: (data: JsonObject) => T | null): T | null {
  const data = parse(text);
  if (!isObject(data)) return null;
  try {
    return of(data);
  } catch (error) {
    if (!(error instanceof take.Inexact)) throw error;
    return of(objectOf(exactly(text)));
  }
}

function callOf(data: JsonObject): CallRecord | null {
  const id = data.call_id;
  const timestamp = data.timestamp;
  if (typeof id !== 'string' || !id || typeof timestamp !== 'string') return null;
  const time = timeOf(timestamp);
  if (Number.isNaN(time)) return null;
  const metadata = objectOf(data.metadata);
  const attune = objectOf(metadata.attune);
  const unknown = take.texts(attune.unknown) ?? [];
  const known = (key: string, value: number | null): number | null => (unknown.includes(key) ? null : (value ?? 0));
  const inner = attune.run_id ?? null;
  const outer = metadata.run_id;
  return {
    id,
    timestamp,
    time,
    workflow: take.text(data.workflow_name),
    step: take.text(data.step_name),
    user: take.text(data.user_id),
    session: take.text(data.session_id),
    task: take.text(data.task_type) ?? 'unknown',
    provider: take.text(data.provider) ?? 'anthropic',
    tier: take.text(data.tier) ?? 'capable',
    model: take.text(data.model_id) ?? '',
    input: known('input_tokens', take.whole(data.input_tokens)),
    output: known('output_tokens', take.whole(data.output_tokens)),
    estimated: known('estimated_cost', take.number(data.estimated_cost)),
    actual: take.number(data.actual_cost),
    latency: take.whole(data.latency_ms) ?? 0,
    fallback: take.flag(data.fallback_used, false),
    retries: take.whole(data.retry_count) ?? 0,
    success: take.flag(data.success, true),
    errorType: take.text(data.error_type),
    hasRunKey: outer !== undefined && (inner === null || !isSame(inner, outer)),
    runId: inner !== null ? take.text(inner) : typeof outer === 'string' ? outer : null,
    stageId: take.text(attune.stage_id),
    cacheRead: take.whole(attune.cache_read_tokens),
    cacheWrite: take.whole(attune.cache_write_tokens),
    reasoning: take.whole(attune.reasoning_tokens),
    finishReasons: take.texts(attune.finish_reasons) ?? [],
    costSource: take.text(attune.cost_source),
    baseline: take.number(attune.baseline_cost),
    cancelled: take.flag(attune.cancelled, false),
    project: take.text(attune.project),
    dialect: take.text(attune.dialect),
    pid: take.whole(attune.pid),
    underPytest: take.flag(attune.under_pytest, false),
    unknown,
  };
}

function isSame(one: Json, other: Json): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function runOf(data: JsonObject): RunRecord | null {
  const metadata = objectOf(data.metadata);
  const attune = objectOf(metadata.attune);
  const id = data.run_id;
  const began = data.started_at;
  if (typeof id !== 'string' || !id || typeof began !== 'string') return null;
  const time = timeOf(began);
  const workflow = take.text(data.workflow_name);
  if (Number.isNaN(time) || workflow === null) return null;
  return {
    id,
    workflow,
    startedAt: began,
    time,
    cost: take.number(data.total_cost) ?? 0,
    baseline: take.number(data.baseline_cost) ?? 0,
    savings: take.number(data.savings) ?? 0,
    duration: take.whole(data.total_duration_ms) ?? 0,
    success: take.flag(data.success, true),
    cancelled: take.flag(attune.cancelled, false),
    project: take.text(attune.project ?? data.project),
    parentId: take.text(attune.parent_run_id),
    parentSpanId: take.text(attune.parent_span_id),
    underPytest: take.flag(attune.under_pytest, false),
    stages: stagesOf(listOf(data.stages).filter(isObject), listOf(attune.stages)),
  };
}

function stagesOf(stages: readonly JsonObject[], more: readonly Json[]): StageRecord[] {
  const matching = more.length === stages.length;
  return stages.map((stage, place) => {
    const extra = matching ? more[place] : undefined;
    // Beside what is new of it, a cost that is left out is not known.
    return stageOf(isObject(extra) ? { cost: null, ...stage, ...extra } : stage);
  });
}

function stageOf(stage: JsonObject): StageRecord {
  const began = take.text(stage.started_at);
  const begin = began === null ? NaN : timeOf(began);
  return {
    name: take.text(stage.stage_name) ?? '',
    tier: take.text(stage.tier) ?? 'unknown',
    model: take.text(stage.model_id) ?? '',
    cost: stage.cost === null ? null : (take.number(stage.cost) ?? 0),
    latency: take.whole(stage.latency_ms) ?? 0,
    success: take.flag(stage.success, true),
    skipped: take.flag(stage.skipped, false),
    cancelled: take.flag(stage.cancelled, false),
    id: take.text(stage.stage_id),
    parentId: take.text(stage.parent_stage_id),
    begin: Number.isNaN(begin) ? null : begin,
  };
}
