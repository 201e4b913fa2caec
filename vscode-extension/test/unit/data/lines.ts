/** Lines for tests: of today's writers and of earlier ones, and numbers that are the same in each run. */

/** Uniform in [0, 1), from a seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface CallFields {
  readonly [key: string]: unknown;
  readonly attune?: Readonly<Record<string, unknown>>;
}

/** A call as a writer of today has it; what is given stands in place of what would be. */
export function call({ attune, ...fields }: CallFields = {}): string {
  return JSON.stringify({
    call_id: 'abac4a78abec2357', timestamp: '2026-11-20T10:00:00.655079Z', workflow_name: 'code-review', step_name: 'triage',
    user_id: 'ivan', session_id: 'ivan-3ccb2', task_type: 'triage', provider: 'anthropic', tier: 'cheap', model_id: 'claude-haiku-4-5',
    input_tokens: 1299, output_tokens: 129, estimated_cost: 0.001944, actual_cost: null, latency_ms: 1355, fallback_used: false,
    fallback_chain: [], original_provider: null, original_model: null, retry_count: 0, circuit_breaker_state: null, success: true,
    error_type: null, error_message: null,
    metadata: {
      run_id: 'd1bc7a143651174bb53674fffc570dd0',
      attune: {
        trace_id: 'e7f0ee9ce982148c1f1ef07465962569', span_id: 'abac4a78abec2357', run_id: 'd1bc7a143651174bb53674fffc570dd0',
        stage_id: 'd05b490a224adc1f', request_model: 'claude-haiku-4-5', finish_reasons: ['stop'], cost_source: 'table',
        baseline_cost: 0.007776, project: 'dev-tools', dialect: 'attune', service: 'empathy-demo', host: 'demo', pid: 1, ...attune,
      },
    },
    ...fields,
  });
}

export function run(fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    run_id: 'd1bc7a143651174bb53674fffc570dd0', workflow_name: 'code-review', started_at: '2026-11-20T09:59:58.000000Z',
    completed_at: '2026-11-20T10:00:02.000000Z', stages: [], total_cost: 0.5, baseline_cost: 1, savings: 0.5, total_duration_ms: 4000,
    success: true, ...fields,
  });
}

/** Lines of all shapes, to be mutated. */
export const SHAPES: readonly string[] = [
  call(),
  call({ attune: { unknown: ['estimated_cost', 'input_tokens'], cost_source: 'unknown', cancelled: true, under_pytest: true } }),
  call({ success: false, error_type: 'timeout', error_message: 'no answer\nafter 30 s "retry"', attune: { finish_reasons: ['length', 'stop'] } }),
  call({ workflow_name: 'négligé 日本 🦀', user_id: null, actual_cost: 1.25e-3, attune: { cost_source: 'none', cache_read_tokens: 7 } }),
  call({ metadata: {} , user_id: 'workflow', timestamp: '2026-01-11T03:47:00.400225' }),
  call({ metadata: { run_id: null }, user_id: null, timestamp: '2026-01-11T03:47:00.450225+01:00' }),
  call({ workflow_name: null, estimated_cost: 12345678901234567890.5, input_tokens: 10.0, latency_ms: 99.9, retry_count: 3 }),
  '{"call_id": "c1", "timestamp": "2026-11-20T10:00:00Z", "workflow_name": "whole", "estimated_cost": 0.25}',
  '{ "timestamp" : "20261120T100000Z" , "call_id" : "c2" , "metadata" : { "attune" : { "attempts" : [ { "cost" : 1 } ] } } }',
  '{"call_id":"c3","timestamp":"2026-W47-5T10:00:00,123456789+05:30","metadata":{"attune":{"metadata":{"a":[1,2,{"b":null}]}}}}',
];
