/** A thread that reads ranges of big segments: a job in, its columns out. */

import { parentPort } from 'node:worker_threads';
import { readRange, type Job } from './data/jobs';

const port = parentPort;
port?.on('message', (job: Job) => {
  void readRange(job).then(
    (done) => port.postMessage(done, done.arrays.map((array) => array.buffer)),
    (error: unknown) => port.postMessage({ problem: error instanceof Error ? error.message : String(error) }),
  );
});
