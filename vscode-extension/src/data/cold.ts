/** Big cold reads: ranges of a segment, split at newlines, go to two workers and come back as columns. */

import type { FileHandle } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { CallTable } from './callTable';
import type { Done, Job } from './jobs';
import { adopt, DICTIONARY_ARRAYS, unpackDictionary, unpackTable } from './pack';
import { lineEnd, readForward } from './reading';
import type { RunTable } from './runTable';
import { parserOf } from './telemetryParser';

const THREADS = 2;
/** Less than this is read before two workers have compiled what they run. */
export const BIG = 128 * 1024 * 1024;
const RANGE = 16 * 1024 * 1024;
/** This thread reads so much itself, once: what it runs is compiled then, and not when the first new line comes. */
const LEFT = 4 * 1024 * 1024;

export interface Part {
  readonly skipped: number;
  /** Where the last complete line ends. */
  readonly offset: number;
}

export interface Source {
  readonly path: string;
  readonly file: FileHandle;
  readonly table: CallTable | RunTable;
}

/** Reads ranges of segments into tables. */
export class Reader {
  private readonly pool: Pool | null;
  private isWarm = false;

  /** `bytes`: how much there is to read in all. `progress` is told how much was. */
  constructor(workerFile: string | null, bytes: number, private readonly progress: (bytes: number) => void, big = BIG) {
    this.pool = workerFile !== null && bytes >= big ? new Pool(workerFile) : null;
  }

  async read(source: Source, from: number, until: number): Promise<Part> {
    const most = this.pool && until - from >= RANGE ? await this.mostOf(this.pool, source, from, until) : { skipped: 0, offset: from };
    const rest = await this.alone(source, most.offset, until);
    return { skipped: most.skipped + rest.skipped, offset: rest.offset };
  }

  async close(): Promise<void> {
    await this.pool?.close();
  }

  /** What the workers read of it: all, or nothing. */
  private async mostOf(pool: Pool, source: Source, from: number, until: number): Promise<Part> {
    try {
      const left = this.isWarm ? -1 : await lineEnd(source.file, until - LEFT, until);
      const most = await this.together(pool, source, from, left < 0 ? until : left);
      this.isWarm = true;
      return most;
    } catch {
      // Without threads it takes longer, and that is all: nothing was added yet.
      return { skipped: 0, offset: from };
    }
  }

  private async alone({ file, table }: Source, from: number, until: number): Promise<Part> {
    const parse = parserOf(table);
    let skipped = 0;
    const offset = await readForward(file, from, until, {
      take: (bytes, length, at) => {
        skipped += parse(bytes, length, at);
        this.progress(length);
      },
      pass: () => (skipped += 1),
    });
    return { skipped, offset };
  }

  private async together(pool: Pool, { path, file, table }: Source, from: number, until: number): Promise<Part> {
    const { dev, ino } = await file.stat({ bigint: true });
    const kind = table instanceof CallTable ? 'calls' : 'runs';
    const running: Promise<Done>[] = [];
    const ends: number[] = [];
    for (let begin = from; begin < until; ) {
      const found = begin + RANGE < until ? await lineEnd(file, begin + RANGE, until) : until;
      const end = found < 0 ? until : found;
      const length = end - begin;
      const job = pool.run({ path, kind, from: begin, until: end });
      // Whoever waits for the first one to fail hears of the others as well.
      job.then(() => this.progress(length), () => undefined);
      running.push(job);
      ends.push(end);
      begin = end;
    }
    const parts = await Promise.all(running);
    for (const [place, done] of parts.entries()) {
      const isWhole = done.offset === ends[place] || place === parts.length - 1;
      if (done.device !== dev || done.inode !== ino || !isWhole) throw new Error(`${path} was replaced`);
    }
    for (const done of parts) {
      const arrays = [...done.arrays];
      const rows = arrays.splice(0, arrays.length - DICTIONARY_ARRAYS);
      adopt(table, unpackTable(done.table, rows, unpackDictionary(done.dictionary, arrays)));
      await new Promise(setImmediate);
    }
    return { skipped: parts.reduce((sum, done) => sum + done.skipped, 0), offset: parts.at(-1)?.offset ?? from };
  }
}

interface Waiting {
  readonly job: Job;
  resolve(done: Done): void;
  reject(error: Error): void;
}

class Pool {
  private readonly workers: readonly Worker[];
  private readonly lost = new Set<Worker>();
  private readonly idle: Worker[];
  private readonly waiting: Waiting[] = [];
  private readonly running = new Map<Worker, Waiting>();

  constructor(workerFile: string) {
    this.workers = Array.from({ length: THREADS }, () => this.worker(workerFile));
    this.idle = [...this.workers];
  }

  run(job: Job): Promise<Done> {
    if (this.lost.size === this.workers.length) return Promise.reject(new Error('no worker is left'));
    return new Promise((resolve, reject) => {
      this.waiting.push({ job, resolve, reject });
      this.next();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private worker(workerFile: string): Worker {
    const worker = new Worker(workerFile);
    worker.on('message', (answer: Done | { readonly problem: string }) => {
      const waiting = this.running.get(worker);
      this.running.delete(worker);
      this.idle.push(worker);
      if ('problem' in answer) waiting?.reject(new Error(answer.problem));
      else waiting?.resolve(answer);
      this.next();
    });
    worker.on('error', (error) => this.fail(worker, error));
    worker.on('exit', () => this.fail(worker, new Error('the worker has ended')));
    return worker;
  }

  /** What waits must not wait for a worker that never comes back. */
  private fail(worker: Worker, error: Error): void {
    this.lost.add(worker);
    this.running.get(worker)?.reject(error);
    this.running.delete(worker);
    const place = this.idle.indexOf(worker);
    if (place >= 0) this.idle.splice(place, 1);
    if (this.lost.size === this.workers.length) for (const waiting of this.waiting.splice(0)) waiting.reject(error);
  }

  private next(): void {
    const worker = this.waiting.length ? this.idle.pop() : undefined;
    const waiting = worker && this.waiting.shift();
    if (!worker || !waiting) return;
    this.running.set(worker, waiting);
    worker.postMessage(waiting.job);
  }
}
