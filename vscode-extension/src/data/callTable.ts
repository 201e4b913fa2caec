/** The calls of one segment, in chunks. */

import { Chunk, CHUNK_ROWS, type Dictionary, type Rows } from './columns';

export class CallTable {
  readonly chunks: Chunk[] = [];
  /** A time had no offset, so that what it means depends on this machine's time zone. */
  hasLocalTimes = false;

  /** `room`: an empty chunk that may be used. */
  constructor(readonly dictionary: Dictionary, private room: Chunk | null = null) {}

  get length(): number {
    return this.chunks.reduce((rows, chunk) => rows + chunk.length, 0);
  }

  append(rows: Rows): void {
    for (let from = 0; from < rows.length; ) {
      const last = this.chunks.at(-1);
      const room = last?.room(rows.origin + rows.place[rows.length - 1]!) ?? 0;
      const chunk = last && room > 0 ? last : this.begun(rows.origin);
      const until = Math.min(rows.length, from + (room || CHUNK_ROWS));
      chunk.append(rows, from, until);
      from = until;
    }
  }

  private begun(base: number): Chunk {
    const chunk = this.room ?? new Chunk(base);
    this.room = null;
    chunk.empty(base);
    this.chunks.push(chunk);
    return chunk;
  }
}
