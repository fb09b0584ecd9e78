import type { TrainConfig } from '../config/train.js';
import { MemoryError } from '../errors.js';
import { addon } from '../native/load.js';
import { unwrap } from '../native/unwrap.js';

/** How a run keeps to its memory. */
export interface MemoryPlan {
  /** Whether blocks of the network are computed again in the backward pass instead of kept. */
  recompute: boolean;
  /** Peak memory that the process is foreseen to take, bytes, without prepared cases. */
  predictedBytes: number;
}

/** What of a config a step's memory depends on. */
export interface MemoryShape {
  plan: Pick<TrainConfig['plan'], 'network' | 'patch' | 'targets'>;
  step: Pick<TrainConfig['step'], 'batch' | 'unannotated'>;
}

/**
 * Chooses recomputation where a step would take more than `maxMemoryBytes` without.
 *
 * @throws MemoryError where it would take more in either way
 */
export function planMemory(config: MemoryShape, maxMemoryBytes = Number.POSITIVE_INFINITY): MemoryPlan {
  const predictions = [false, true].map((recompute) => ({ recompute, predictedBytes: stepBytes(config, recompute) }));
  const fitting = predictions.find(({ predictedBytes }) => predictedBytes <= maxMemoryBytes);
  if (fitting) return fitting;
  const least = Math.min(...predictions.map(({ predictedBytes }) => predictedBytes));
  const told = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  throw new MemoryError(
    'ERR_MEMORY',
    `A training step takes about ${told(least)} even where blocks are recomputed, but ${told(maxMemoryBytes)} is allowed.`,
    { hint: 'Allow more with --max-memory, or make plan.patch or step.batch smaller.' },
  );
}

/** Peak memory of a training step, bytes. */
export function stepBytes({ plan, step }: MemoryShape, recompute: boolean): number {
  const { network } = plan;
  const beside = network.preset === 'pulmoav' ? network.auxiliary.length : 0;
  const shape = {
    patch: plan.patch,
    batch: step.batch,
    outputs: plan.targets.length + beside,
    teacher: step.unannotated === 'teacher',
    recompute,
  };
  return unwrap(addon().trainingBytes(JSON.stringify(network), shape));
}
