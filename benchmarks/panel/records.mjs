// Invented records for the measurements of the panel.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const DAY = 86_400_000;
const DAYS = 30;
const SEGMENT_BYTES = 64 * 1024 * 1024;

const MODELS = [
  ['anthropic', 'claude-haiku-4-5', 'cheap', 1e-6], ['anthropic', 'claude-sonnet-4-5', 'capable', 3e-6],
  ['openai', 'gpt-5-mini', 'cheap', 5e-7], ['openai', 'gpt-5', 'premium', 5e-6], ['gcp.gemini', 'gemini-2.5-flash', 'cheap', 4e-7],
];
const STAGES = [['code-review', 'triage'], ['code-review', 'analyze'], ['support-answer', 'retrieve'], ['support-answer', 'answer'], ['weekly-report', 'write']];

/** Lines of about 630 bytes, as today's writers write them. */
export function* lines(count, end) {
  let state = 1;
  const below = (limit) => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) % limit;
  const hex = (digits) => Array.from({ length: digits / 4 }, () => below(65536).toString(16).padStart(4, '0')).join('');
  for (let i = 0; i < count; i++) {
    const [provider, model_id, tier, price] = MODELS[below(MODELS.length)];
    const [workflow_name, step_name] = STAGES[below(STAGES.length)];
    const input_tokens = 200 + below(9000);
    const output_tokens = 20 + below(900);
    const failed = below(50) === 0;
    const unknown = below(25) === 0;
    const call_id = hex(16);
    const run_id = hex(32);
    yield `${JSON.stringify({
      call_id, timestamp: `${new Date(end - DAYS * DAY + (i * DAYS * DAY) / count).toISOString().slice(0, -1)}${String(below(1000)).padStart(3, '0')}Z`,
      workflow_name, step_name, user_id: null, session_id: `ivan-${below(5000)}`, task_type: step_name, provider, tier, model_id,
      input_tokens, output_tokens, ...(unknown ? {} : { estimated_cost: Number(((input_tokens + 5 * output_tokens) * price).toFixed(9)) }),
      actual_cost: null, latency_ms: 300 + below(20000), fallback_used: below(100) === 0, fallback_chain: [], original_provider: null,
      original_model: null, retry_count: below(40) === 0 ? 1 : 0, circuit_breaker_state: null, success: !failed,
      error_type: failed ? 'timeout' : null, error_message: null,
      metadata: { run_id, attune: { run_id, cost_source: unknown ? 'unknown' : 'table', baseline_cost: 0.0125, pid: 7, ...(unknown ? { unknown: ['estimated_cost'] } : {}) } },
    })}\n`;
  }
}

export function write(folder, count, end) {
  mkdirSync(folder, { recursive: true });
  let number = 0;
  let size = 0;
  let file = openSync(join(folder, 'llm_calls.jsonl'), 'w');
  let block = [];
  let length = 0;
  const flush = () => {
    writeSync(file, block.join(''));
    size += length;
    block = [];
    length = 0;
  };
  for (const line of lines(count, end)) {
    block.push(line);
    length += line.length;
    if (length > 1 << 20) flush();
    if (size < SEGMENT_BYTES) continue;
    closeSync(file);
    file = openSync(join(folder, `llm_calls.${String(++number).padStart(5, '0')}.jsonl`), 'w');
    size = 0;
  }
  flush();
  closeSync(file);
}
