/** A project with records to look at, and what the command line says of them. */

import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const EMPATHY = join(ROOT, '.venv', 'bin', 'empathy');

/** The command line's environment; `make test` has made it. */
export const hasCommandLine = existsSync(EMPATHY);

export interface Totals {
  readonly calls: number;
  /** null where none of the costs is known. */
  readonly cost: number | null;
  readonly unknown_cost_calls: number;
  readonly baseline_cost: number;
  readonly savings: number;
  readonly savings_percent: number | null;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cache_read_tokens: number;
  readonly cache_write_tokens: number;
  readonly reasoning_tokens: number;
  readonly retries: number;
  readonly fallbacks: number;
  readonly truncated: number;
  readonly outcomes: { readonly ok: number; readonly error: number; readonly cancelled: number };
  readonly success_rate: number | null;
  readonly latency_ms: { readonly average: number | null };
}

export interface Summary {
  readonly totals: Totals;
  readonly before: { readonly totals?: Totals } | Totals | null;
  readonly over_time: readonly { readonly since: string; readonly until: string; readonly cost: number | null; readonly calls: number }[];
  readonly groups: readonly (Totals & { readonly name: string })[];
}

export class Project {
  private readonly place = realpathSync(mkdtempSync(join(tmpdir(), 'attune-project-')));
  /** Its name stands in the pictures. */
  readonly folder = join(this.place, 'shop');
  readonly records = join(this.folder, '.empathy');

  constructor(private readonly timeZone = 'UTC') {
    this.write('pyproject.toml', '[project]\nname = "shop"\n');
    this.write('review.py', REVIEW);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  /** Append lines to a segment of the records. */
  append(segment: string, ...lines: readonly (object | string)[]): void {
    mkdirSync(this.records, { recursive: true });
    const text = lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');
    appendFileSync(join(this.records, segment), text);
  }

  /** Write the invented calls of a team, as `empathy demo --records` does. */
  invent(count: number, days: number): void {
    this.empathy('demo', '--records', String(count), '--days', String(days));
    execFileSync('mv', [join(this.folder, '.empathy-demo'), this.records]);
  }

  empathy(...words: readonly string[]): string {
    const env = { ...process.env, TZ: this.timeZone, NO_COLOR: '1' };
    return execFileSync(EMPATHY, [...words], { cwd: this.folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  summary(...words: readonly string[]): Summary {
    const said: { readonly data: Summary } = JSON.parse(
      this.empathy('telemetry', 'summary', '--format', 'json', '--limit', '10000', '--dir', this.records, ...words),
    );
    return said.data;
  }

  remove(): void {
    rmSync(this.place, { recursive: true, force: true, maxRetries: 5 });
  }
}

let made = 0;

/** A call that ended now, but for what is given. */
export function call(given: Readonly<Record<string, unknown>> = {}): object {
  made += 1;
  const { attune, ...rest } = given;
  return {
    call_id: `call-${made}`, timestamp: new Date().toISOString(), workflow_name: 'review', step_name: 'analyze', user_id: null,
    session_id: null, task_type: 'unknown', provider: 'anthropic', tier: 'cheap', model_id: 'claude-haiku-4-5', input_tokens: 1200,
    output_tokens: 80, estimated_cost: 0.0016, actual_cost: null, latency_ms: 700, fallback_used: false, fallback_chain: [],
    original_provider: null, original_model: null, retry_count: 0, circuit_breaker_state: null, success: true, error_type: null,
    error_message: null, ...rest, metadata: { attune: { dialect: 'attune', pid: 7, ...(attune as object | undefined) } },
  };
}

/** Line 7 holds the function that the calls come from, line 12 the workflow. */
const REVIEW = `"""Reviews a diff."""

from attune_monitoring import llm_call, stage, workflow


@llm_call
def ask(question):
    return client.messages.create(model="claude-haiku-4-5", messages=[{"role": "user", "content": question}])


@workflow("review")
def review(diff):
    with stage("analyze", tier="cheap"):
        return ask(diff)
`;
