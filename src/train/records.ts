import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { writeAtomic } from '../files.js';
import type { EventLog } from './events.js';
import { TensorBoard } from './tensorboard.js';
import { cutBackPictures } from './validation-picture.js';

/**
 * Cuts a run's log and pictures back to `step` steps and lets TensorBoard's files follow it from there.
 *
 * @throws IoError
 */
export async function openRecords(run: string, log: EventLog, step: number): Promise<void> {
  await log.cutBack(step);
  await cutBackPictures(run, step);
  const board = await TensorBoard.open(run, step);
  log.follow((event) => board.write(event));
}

/** What the thread answers. */
const answer = z.object({ metrics: z.string(), progress: z.instanceof(Uint8Array) });

/**
 * Writes what is derived from a run's log anew, `metrics.csv` and `progress.png`: they never disagree with it.
 *
 * @throws IoError
 */
export async function refreshRecords(run: string, steps: number | null): Promise<void> {
  const thread = new Worker(new URL('./records-worker.js', import.meta.url), { workerData: { run, steps } });
  const [message] = await once(thread, 'message');
  const { metrics, progress } = answer.parse(message);
  await writeAtomic(join(run, 'metrics.csv'), metrics);
  await writeAtomic(join(run, 'progress.png'), progress);
}
