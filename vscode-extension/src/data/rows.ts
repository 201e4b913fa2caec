/** One call as a row of the list: from the columns, or from its record. */

import type { Outcome, RecordKey, Row } from '../../shared/protocol';
import * as C from './columns';
import { Flag, type Chunk } from './columns';
import type { CallRecord } from './records';
import type { Snapshot } from './snapshot';
import { chunkOf, rowOf } from './sort';

export function rowFrom(snapshot: Snapshot, id: number): Row {
  const place = chunkOf(id);
  const chunk = snapshot.chunks[place]!;
  const row = rowOf(id);
  const { dictionary } = snapshot;
  const series = chunk.series[row]!;
  const cost = chunk.cost[row]!;
  return {
    key: keyOf(snapshot, place, chunk, row),
    time: chunk.time[row]!,
    workflow: dictionary.of(series, C.WORKFLOW),
    stage: dictionary.of(series, C.STEP),
    provider: dictionary.of(series, C.PROVIDER),
    model: dictionary.of(series, C.MODEL),
    tier: dictionary.of(series, C.TIER),
    cost: Number.isNaN(cost) ? null : cost,
    input: chunk.count('input', row),
    output: chunk.count('output', row),
    outcome: outcomeOf(chunk.flags[row]!),
    error: dictionary.of(series, C.ERROR),
    latency: chunk.count('latency', row),
  };
}

export function rowOfRecord(record: CallRecord, key: RecordKey): Row {
  const outcome = record.cancelled ? 'cancelled' : record.success ? 'ok' : 'error';
  return {
    key,
    time: record.time,
    workflow: record.workflow ?? '',
    stage: record.step ?? '',
    provider: record.provider,
    model: record.model,
    tier: record.tier,
    cost: record.actual ?? record.estimated,
    input: record.input ?? 0,
    output: record.output ?? 0,
    outcome,
    error: outcome === 'error' ? (record.errorType ?? '') : '',
    latency: record.latency,
  };
}

export function keyOf(snapshot: Snapshot, place: number, chunk: Chunk, row: number): RecordKey {
  return { segment: snapshot.segments[place]!, offset: chunk.offset(row) };
}

function outcomeOf(flags: number): Outcome {
  return flags & Flag.cancelled ? 'cancelled' : flags & Flag.error ? 'error' : 'ok';
}
