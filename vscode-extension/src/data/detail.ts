/** One record as it is shown: its facts as text, without contents and without secrets, and where its code stands. */

import type { Detail } from '../../shared/protocol';
import { redact, redactValue } from '../redaction';
import { isObject, objectOf, parse, textOf, type Json, type JsonObject } from './json';

interface Fact {
  readonly name: string;
  readonly value: string;
}

/** Facts in the order in which they are shown: the key at the top, or below `metadata.attune`. */
const TOP: readonly (readonly [key: string, name: string])[] = [
  ['timestamp', 'Ended'], ['call_id', 'Call'], ['workflow_name', 'Workflow'], ['step_name', 'Stage'], ['task_type', 'Task'],
  ['provider', 'Provider'], ['model_id', 'Model'], ['tier', 'Tier'], ['input_tokens', 'Input tokens'],
  ['output_tokens', 'Output tokens'], ['estimated_cost', 'Estimated cost (USD)'], ['actual_cost', 'Actual cost (USD)'],
  ['latency_ms', 'Latency (ms)'], ['retry_count', 'Retries'], ['fallback_used', 'Fallback used'],
  ['fallback_chain', 'Fallback chain'], ['original_provider', 'Provider asked first'], ['original_model', 'Model asked first'],
  ['circuit_breaker_state', 'Circuit breaker'], ['success', 'Success'], ['error_type', 'Error'],
  ['error_message', 'Error message'], ['user_id', 'User'], ['session_id', 'Session'],
];
const BELOW: readonly (readonly [key: string, name: string])[] = [
  ['cost_source', 'Cost source'], ['baseline_cost', 'Baseline cost (USD)'], ['cache_read_tokens', 'Tokens read from cache'],
  ['cache_write_tokens', 'Tokens written to cache'], ['cache_write_1h_tokens', 'Of them kept for an hour'],
  ['reasoning_tokens', 'Reasoning tokens'], ['time_to_first_token_ms', 'Time to first token (ms)'],
  ['finish_reasons', 'Finish reasons'], ['tool_calls', 'Tool calls'], ['server_tool_calls', 'Server tool calls'],
  ['service_tier', 'Service tier'], ['operation', 'Operation'], ['request_model', 'Requested model'], ['response_id', 'Response'],
  ['usage_complete', 'Usage complete'], ['cancelled', 'Cancelled'], ['unknown', 'Not known'], ['attempts', 'Attempts given up'],
  ['project', 'Project'], ['run_id', 'Run'], ['stage_id', 'Stage id'], ['trace_id', 'Trace'], ['span_id', 'Span'],
  ['parent_span_id', 'Parent span'], ['service', 'Service'], ['host', 'Host'], ['pid', 'Process'], ['dialect', 'Dialect'],
  ['scope', 'Instrumentation'], ['scope_version', 'Instrumentation version'], ['under_pytest', 'Made under pytest'],
  ['source_file', 'Source file'], ['source_line', 'Source line'],
];
/** What was said to a model, or by it, is never shown. */
const CONTENTS = new Set(['content', 'contents', 'messages', 'prompt', 'completion', 'response', 'input', 'output']);
const LONGEST = 2000;

export function factsOf(line: Uint8Array): Fact[] {
  const data = objectIn(line);
  const metadata = objectOf(data.metadata);
  const attune = objectOf(metadata.attune);
  const named = (from: JsonObject, keys: typeof TOP): Fact[] => keys.flatMap(([key, name]) => fact(name, key, from[key]));
  const others = { ...metadata, attune: undefined, ...(attune.run_id === undefined ? {} : { run_id: undefined }) };
  return [...named(data, TOP), ...named(attune, BELOW), ...Object.entries(others).flatMap(([key, value]) => fact(redact(key), key, value))];
}

/** The line with its secrets masked, for whoever wants to see all of it. */
export function codeOf(line: Uint8Array): Detail['code'] {
  const { source_file: file, source_line: at } = objectOf(objectOf(objectIn(line).metadata).attune);
  return typeof file === 'string' && file ? { file, line: typeof at === 'number' && at >= 1 ? Math.trunc(at) : 1 } : null;
}

function objectIn(line: Uint8Array): JsonObject {
  const data = parse(textOf(line).text);
  return isObject(data) ? data : {};
}

function fact(name: string, key: string, value: Json | undefined): Fact[] {
  if (value === undefined || value === null || value === '' || CONTENTS.has(key)) return [];
  const { [key]: clean } = redactValue({ [key]: value }).value as Record<string, unknown>;
  const text = typeof clean === 'string' ? clean : JSON.stringify(clean);
  return text === '[]' || text === '{}' ? [] : [{ name, value: text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text }];
}
