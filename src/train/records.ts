import { join } from 'node:path';
import { writeAtomic } from '../files.js';
import type { EventLog } from './events.js';
import { metricsCsv } from './metrics.js';
import { drawProgress } from './progress-picture.js';
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

/**
 * Writes what is derived from a run's log anew, `metrics.csv` and `progress.png`: they never disagree with it.
 *
 * @throws IoError
 */
export async function refreshRecords(run: string, log: EventLog, steps: number | null): Promise<void> {
  const events = log.read();
  await writeAtomic(join(run, 'metrics.csv'), metricsCsv(events));
  await writeAtomic(join(run, 'progress.png'), drawProgress(events, steps));
}
