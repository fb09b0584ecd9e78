import type { TrainEvent } from './events.js';
import type { LoggedEvent } from './logged.js';

/** Background, artery, vein: the order in which a teacher's numbers come. */
export const CLASSES = ['background', 'artery', 'vein'] as const;

/** How many steps were taken when an event came: what readers of a run's numbers call its step. */
export function stepsTaken(event: TrainEvent | LoggedEvent): number {
  return event.type === 'step' ? event.step + 1 : event.step;
}

/** The finite numbers of an event, by TensorBoard's tags. */
export function scalarsOf(event: TrainEvent | LoggedEvent): Map<string, number> {
  const scalars = new Map<string, number>();
  const add = (tag: string, value: number | null | undefined) => {
    if (typeof value === 'number' && Number.isFinite(value)) scalars.set(tag, value);
  };
  const addAll = (tag: string, values: Record<string, number | null | undefined>) => {
    for (const [name, value] of Object.entries(values)) add(`${tag}/${name}`, value);
  };
  if (event.type === 'step') {
    add('train/loss', event.loss);
    addAll('train/terms', event.terms);
    addAll('train/targets', event.targets);
    addAll('train/loss_factors', event.lossFactors);
    add('train/gradient_norm', event.gradNorm);
    add('train/seconds', event.seconds);
    add('lr', event.learningRate);
    add('teacher/weight', event.teacher?.weight);
    add('teacher/loss', event.teacher?.loss);
    addAll('teacher/threshold', byClass(event.teacher?.thresholds));
    addAll('teacher/accepted', byClass(event.teacher?.accepted));
    addAll('teacher/agreement', byClass(event.teacher?.agreement));
  } else if (event.type === 'validation') {
    for (const [target, { predVoxels: _, refVoxels: __, ...metrics }] of Object.entries(event.mean)) {
      for (const [metric, value] of Object.entries(metrics)) add(`validation/${metric}/${target}`, value);
    }
    add('validation/seconds', event.seconds);
  }
  return scalars;
}

function byClass<T>(values: readonly T[] | undefined): Record<string, T> {
  return Object.fromEntries((values ?? []).map((value, index) => [CLASSES[index] ?? String(index), value]));
}
