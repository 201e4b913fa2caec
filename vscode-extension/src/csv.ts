/** Rows as CSV (RFC 4180) that spreadsheet programs open as data: no cell is a formula, and the encoding is said. */

import type { FileHandle } from 'node:fs/promises';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import type { Row } from '../shared/protocol';

const BYTE_ORDER_MARK = '\uFEFF';
const NEW_LINE = '\r\n';
// Full-width forms too: programs of East Asian locales take them for the same.
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;
const TO_QUOTE = /[",\r\n]/;

/** The columns in their order; new ones go behind them. Names are those of `empathy telemetry export` where both have them. */
const COLUMNS: readonly (readonly [name: string, value: (row: Row) => string | number | null])[] = [
  ['timestamp', (row) => new Date(row.time).toISOString()],
  ['workflow_name', (row) => row.workflow],
  ['step_name', (row) => row.stage],
  ['provider', (row) => row.provider],
  ['model_id', (row) => row.model],
  ['tier', (row) => row.tier],
  ['cost', (row) => row.cost],
  ['input_tokens', (row) => row.input],
  ['output_tokens', (row) => row.output],
  ['outcome', (row) => row.outcome],
  ['error_type', (row) => row.error],
  ['latency_ms', (row) => row.latency],
];

export function head(): string {
  return BYTE_ORDER_MARK + COLUMNS.map(([name]) => name).join(',') + NEW_LINE;
}

export function line(row: Row): string {
  return COLUMNS.map(([, value]) => cell(value(row))).join(',') + NEW_LINE;
}

/** Numbers as they are; an unknown one is empty, and a text that a spreadsheet would run begins with an apostrophe. */
function cell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return TO_QUOTE.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * Write the rows to a file, which is there as a whole or not at all.
 *
 * @param cancelled asked between portions; what was written is removed then.
 * @returns the number of rows; null where it was cancelled.
 */
export async function writeCsv(
  file: string, rows: AsyncIterable<readonly Row[]>, written: (rows: number) => void = () => undefined,
  cancelled: () => boolean = () => false,
): Promise<number | null> {
  const beside = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(4).toString('hex')}`);
  const handle = await open(beside, 'wx', 0o600);
  try {
    const count = await writeAll(handle, rows, written, cancelled);
    await handle.close();
    if (count !== null) await rename(beside, file);
    return count;
  } finally {
    await handle.close().catch(() => undefined);
    await rm(beside, { force: true });
  }
}

async function writeAll(
  handle: FileHandle, rows: AsyncIterable<readonly Row[]>, written: (rows: number) => void, cancelled: () => boolean,
): Promise<number | null> {
  let count = 0;
  await handle.write(head());
  for await (const portion of rows) {
    if (cancelled()) return null;
    await handle.write(portion.map(line).join(''));
    count += portion.length;
    written(count);
  }
  return count;
}
