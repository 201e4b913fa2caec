/** A run's line to a draft of its row, without JSON.parse; what only its details need is passed over. */

import { found, isNull, passBlanks, passValue, plainText, QUOTE } from './bytes';
import { FieldReader, span } from './fields';
import type { Names } from './names';
import { checkOf, type RunDraft } from './runTable';
import { timeIn } from './times';

class Attune extends FieldReader {
  readonly parent = span();

  constructor(names: Names, private readonly draft: RunDraft) {
    super(['parent_run_id', 'under_pytest'], names);
  }

  protected field(field: number, b: Uint8Array, p: number): number {
    if (field === 0) return this.span(b, p, this.parent);
    const after = this.flag(b, p, false);
    this.draft.test = found.flag;
    return after;
  }
}

class Metadata extends FieldReader {
  readonly attune: Attune;

  constructor(names: Names, draft: RunDraft) {
    super(['attune'], names);
    this.attune = new Attune(names, draft);
  }

  protected field(_: number, b: Uint8Array, p: number): number {
    return isNull(b, p) ? p + 4 : this.attune.read(b, p);
  }
}

export class RunScanner extends FieldReader {
  readonly row: RunDraft;
  private readonly metadata: Metadata;
  private readonly workflow = new Uint32Array(1);
  private hasWorkflow = false;

  constructor(names: Names) {
    super(['run_id', 'workflow_name', 'started_at', 'stages', 'metadata'], names);
    this.row = { time: NaN, workflow: 0, id: 0, check: 0, parent: 0, test: false, nested: false };
    this.metadata = new Metadata(names, this.row);
  }

  /** Reads the line that begins at a place; returns the place of its newline, or -1 where the slow way must read it. */
  scan(b: Uint8Array, start: number): number {
    const { row } = this;
    const { parent } = this.metadata.attune;
    row.time = NaN;
    row.id = 0;
    row.test = this.hasWorkflow = false;
    parent.start = 0;
    const end = this.read(b, start);
    if (end < 0 || row.id === 0 || !this.hasWorkflow || Number.isNaN(row.time)) return -1;
    row.workflow = this.workflow[0]!;
    row.nested = parent.start > 0;
    row.parent = row.nested ? parent.hash || 1 : 0;
    const newline = passBlanks(b, end);
    return b[newline] === 10 ? newline : -1;
  }

  protected field(field: number, b: Uint8Array, p: number): number {
    switch (field) {
      case 0: {
        const after = plainText(b, p);
        if (after > p + 2 && found.ascii) {
          this.row.id = found.hash || 1;
          this.row.check = checkOf(b, p + 1, after - 1);
        }
        return after;
      }
      case 1:
        this.hasWorkflow = b[p] === QUOTE;
        return this.name(b, p, this.workflow, 0);
      case 2: {
        const after = plainText(b, p);
        if (after < 0 || !found.ascii) return -1;
        this.row.time = timeIn(b, p + 1, after - 1);
        return after;
      }
      case 3: {
        // Whether its names are UTF-8 is for the slow way to tell.
        const after = passValue(b, p);
        for (let i = p; i < after; i++) if (b[i]! > 127) return -1;
        return after;
      }
      default:
        return isNull(b, p) ? p + 4 : this.metadata.read(b, p);
    }
  }
}
