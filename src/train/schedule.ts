import type { TrainConfig } from '../config/train.js';

/**
 * Learning rate of a step: linear warm-up, then a cosine from the peak to `finalShare` of it at the last step
 * (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts).
 *
 * @param step from 0
 * @param steps of the whole run
 */
export function learningRate(schedule: TrainConfig['schedule'], step: number, steps: number): number {
  const { learningRate: peak, warmupSteps, finalShare } = schedule;
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  const along = Math.min(1, (step - warmupSteps) / Math.max(1, steps - 1 - warmupSteps));
  return peak * (finalShare + (1 - finalShare) * 0.5 * (1 + Math.cos(Math.PI * along)));
}
