/** What the watcher of alerts left in its status file; see src/attune_monitoring/alerts/status.py. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AlertsState, FiringAlert } from '../../shared/protocol';
import { isObject, listOf, objectOf, parse, type Json, type JsonObject } from './json';
import { isMissing } from './reading';
import { timeOf } from './times';

const NAME = 'alerts.status.json';
const VERSION = 1;

export async function readAlerts(folder: string, now: number): Promise<AlertsState> {
  let data: Json;
  try {
    data = parse(await readFile(join(folder, NAME), 'utf8'));
  } catch (error) {
    if (isMissing(error)) return { state: 'none' };
    return unreadable(error instanceof SyntaxError ? `${NAME} is damaged` : `${NAME} cannot be read`);
  }
  if (!isObject(data)) return unreadable(`${NAME} is damaged`);
  if (data.version !== VERSION) {
    return unreadable(`${NAME} has version ${JSON.stringify(data.version)}, and ${VERSION} is understood; update this extension`);
  }
  const evaluatedAt = momentOf(data.evaluated_at);
  const staleAfter = momentOf(data.stale_after);
  if (evaluatedAt === null || staleAfter === null) return unreadable(`${NAME} does not say when it was written`);
  return {
    state: now > staleAfter ? 'stale' : 'running',
    evaluatedAt,
    rules: typeof data.rules === 'number' ? data.rules : 0,
    firing: [...alertsOf(data.firing, false), ...alertsOf(data.silenced, true)],
    pending: listOf(data.pending).length,
    faults: listOf(data.errors).filter(isObject).map((fault) => `${textOf(fault.rule)}: ${textOf(fault.error)}`),
  };
}

function unreadable(problem: string): AlertsState {
  return { state: 'unreadable', problem };
}

/** Silenced ones may be pending still: those fire nothing. */
function alertsOf(value: Json | undefined, silenced: boolean): FiringAlert[] {
  const found = listOf(value).filter(isObject);
  return found.filter((alert) => !silenced || alert.status !== 'pending').map((alert) => alertOf(alert, silenced));
}

function alertOf(alert: JsonObject, silenced: boolean): FiringAlert {
  const labels = Object.entries(objectOf(alert.labels)).filter((label): label is [string, string] => typeof label[1] === 'string');
  return {
    rule: textOf(alert.rule),
    severity: textOf(alert.severity),
    condition: textOf(alert.condition),
    value: typeof alert.value === 'number' ? alert.value : null,
    labels: Object.fromEntries(labels),
    since: momentOf(alert.started_at) ?? momentOf(alert.since),
    silenced,
  };
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function momentOf(value: Json | undefined): number | null {
  const time = typeof value === 'string' ? timeOf(value) : NaN;
  return Number.isNaN(time) ? null : time;
}
