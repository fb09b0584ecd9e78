import type { TrainConfig } from '../config/train.js';

/**
 * Learning rate of a step: linear warm-up, then down from the peak to the last step. `cosine`: to `finalShare` of it
 * (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts). `poly`: the peak times a power of the share of steps
 * that is left (Isensee et al., "nnU-Net", Nature Methods 2021).
 *
 * @param step from 0
 * @param steps of the whole run
 */
export function learningRate(schedule: TrainConfig['schedule'], step: number, steps: number): number {
  const { learningRate: peak, warmupSteps } = schedule;
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  if (schedule.kind === 'poly') {
    const left = 1 - (step - warmupSteps) / Math.max(1, steps - warmupSteps);
    return peak * Math.max(0, left) ** schedule.exponent;
  }
  const along = Math.min(1, (step - warmupSteps) / Math.max(1, steps - 1 - warmupSteps));
  return peak * (schedule.finalShare + (1 - schedule.finalShare) * 0.5 * (1 + Math.cos(Math.PI * along)));
}
