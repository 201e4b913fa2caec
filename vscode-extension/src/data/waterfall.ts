/** The run that a call belongs to, as steps: itself, its stages, its calls and the runs inside it. */

import type { Detail, RecordKey, Step } from '../../shared/protocol';
import { redact } from '../redaction';
import { runHash } from './names';
import { Flag } from './columns';
import { callIn, runIn, type CallRecord, type RunRecord, type StageRecord } from './records';
import { keyOf, rowOfRecord } from './rows';
import type { Snapshot } from './snapshot';

/** More calls of a run, or runs inside it, are not drawn. */
const MOST = 500;
/** Runs inside runs inside runs … */
const DEEPEST = 8;

type Read = (key: RecordKey) => Promise<Uint8Array>;

interface Call {
  readonly record: CallRecord;
  readonly key: RecordKey;
}

/** A step with those inside it. */
interface Node {
  readonly step: Omit<Step, 'depth'>;
  readonly inside: Node[];
}

export async function stepsOf(record: CallRecord, here: RecordKey, snapshot: Snapshot, read: Read): Promise<Pick<Detail, 'run' | 'steps'>> {
  if (!record.runId) return { run: null, steps: [] };
  const drawing = new Drawing(snapshot, read, here);
  const calls = await drawing.callsOf(record.runId, { record, key: here });
  const run = (await drawing.run(record.runId)) ?? rebuilt(record.runId, calls);
  const steps = flat(await drawing.node(run, calls, 0), 0);
  return { run: { id: redact(run.id), name: redact(run.workflow), begin: run.time, duration: run.duration, cost: run.cost }, steps };
}

class Drawing {
  constructor(
    private readonly snapshot: Snapshot,
    private readonly read: Read,
    private readonly here: RecordKey,
  ) {}

  async run(id: string): Promise<RunRecord | null> {
    const found = await this.runs(runHash(id), 'id', (run) => run.id === id);
    return found[0] ?? null;
  }

  async callsOf(id: string, asked: Call): Promise<Call[]> {
    const hash = runHash(id);
    const calls = [asked];
    for (const [place, chunk] of this.snapshot.chunks.entries()) {
      for (let row = chunk.run.indexOf(hash); row >= 0 && row < chunk.length && calls.length < MOST; row = chunk.run.indexOf(hash, row + 1)) {
        const key = keyOf(this.snapshot, place, chunk, row);
        if (chunk.flags[row]! & Flag.duplicate || (key.segment === asked.key.segment && key.offset === asked.key.offset)) continue;
        const record = await this.line(key, callIn);
        if (record?.runId === id) calls.push({ record, key });
      }
    }
    return calls;
  }

  async node(run: RunRecord, calls: readonly Call[], depth: number): Promise<Node> {
    const top: Node = {
      step: {
        kind: 'run', name: redact(run.workflow), begin: run.time, end: run.time + run.duration, placed: true, cost: run.cost,
        outcome: run.cancelled ? 'cancelled' : run.success ? 'ok' : 'error', tier: '', model: '', key: null, here: false,
      },
      inside: [],
    };
    const stages = this.stagesInto(top, run);
    for (const call of calls) {
      const id = call.record.stageId;
      (stages.find(({ stage }) => (id === null ? stage.name === call.record.step : stage.id === id))?.node ?? top).inside.push(this.callNode(call));
    }
    if (depth < DEEPEST) {
      for (const inner of await this.runs(runHash(run.id), 'parent', (one) => one.parentId === run.id && one.id !== run.id)) {
        const around = stages.find(({ stage }) => stage.id !== null && stage.id === inner.parentSpanId)?.node ?? top;
        around.inside.push(await this.node(inner, await this.innerCalls(inner.id), depth + 1));
      }
    }
    return top;
  }

  private async innerCalls(id: string): Promise<Call[]> {
    const hash = runHash(id);
    for (const [place, chunk] of this.snapshot.chunks.entries()) {
      const row = chunk.run.indexOf(hash);
      if (row < 0 || row >= chunk.length) continue;
      const key = keyOf(this.snapshot, place, chunk, row);
      const record = await this.line(key, callIn);
      if (record?.runId === id) return this.callsOf(id, { record, key });
    }
    return [];
  }

  private stagesInto(top: Node, run: RunRecord): { readonly stage: StageRecord; readonly node: Node }[] {
    let next = run.time;
    const stages = run.stages.map((stage) => {
      // Where it is not said when a stage began, it stands behind the one before.
      const begin = stage.begin ?? next;
      next = begin + stage.latency;
      return { stage, node: { step: stageStep(stage, begin), inside: [] } as Node };
    });
    for (const { stage, node } of stages) {
      const around = stages.find((other) => other.stage !== stage && other.stage.id !== null && other.stage.id === stage.parentId);
      (around && !isInside(around.node, node) ? around.node : top).inside.push(node);
    }
    return stages;
  }

  private callNode({ record, key }: Call): Node {
    const row = rowOfRecord(record, key);
    const name = redact(row.stage || row.model || row.provider);
    return {
      step: {
        kind: 'call', name, begin: row.time - row.latency, end: row.time, placed: true, cost: row.cost, outcome: row.outcome,
        tier: row.tier, model: row.model, key, here: key.segment === this.here.segment && key.offset === this.here.offset,
      },
      inside: [],
    };
  }

  private async runs(hash: number, column: 'id' | 'parent', is: (run: RunRecord) => boolean): Promise<RunRecord[]> {
    const found: RunRecord[] = [];
    for (const { table, row, segment } of this.snapshot.runs.withHash(hash, column)) {
      const run = await this.line({ segment, offset: table.offset[row]! }, runIn);
      if (run && is(run)) found.push(run);
      if (found.length >= MOST) break;
    }
    return found;
  }

  /** null where the line is no longer there. */
  private async line<T>(key: RecordKey, of: (line: Uint8Array) => T | null): Promise<T | null> {
    return this.read(key).then(of, () => null);
  }
}

/** A run that left no record, from its calls. */
function rebuilt(id: string, calls: readonly Call[]): RunRecord {
  const begin = Math.min(...calls.map(({ record }) => record.time - record.latency));
  const end = Math.max(...calls.map(({ record }) => record.time));
  const cost = calls.reduce((sum, { record }) => sum + (record.actual ?? record.estimated ?? 0), 0);
  return {
    id, workflow: calls.find(({ record }) => record.workflow)?.record.workflow ?? '', startedAt: '', time: begin, cost, baseline: 0, savings: 0,
    duration: end - begin, success: calls.every(({ record }) => record.success), cancelled: false, project: null, parentId: null,
    parentSpanId: null, underPytest: false, stages: [],
  };
}

function stageStep(stage: StageRecord, begin: number): Node['step'] {
  const outcome = stage.skipped ? 'skipped' : stage.cancelled ? 'cancelled' : stage.success ? 'ok' : 'error';
  return {
    kind: 'stage', name: redact(stage.name), begin, end: begin + stage.latency, placed: stage.begin !== null, cost: stage.cost,
    outcome, tier: stage.tier, model: stage.model, key: null, here: false,
  };
}

/** Records that say of each other that they are inside the other must not close a circle. */
function isInside(one: Node, of: Node): boolean {
  return one === of || of.inside.some((inner) => isInside(one, inner));
}

function flat(node: Node, depth: number): Step[] {
  const inside = [...node.inside].sort((one, other) => one.step.begin - other.step.begin);
  return [{ ...node.step, depth }, ...inside.flatMap((inner) => flat(inner, depth + 1))];
}
