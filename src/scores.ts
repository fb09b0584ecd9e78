import type { Scores, TargetScores } from './native/binding.js';

export type { Scores, TargetScores };

/** Means over the cases in which a metric is a number. */
export function meanScores(all: Scores[]): Scores {
  const targets = new Set(all.flatMap((scores) => Object.keys(scores)));
  return Object.fromEntries(
    [...targets].map((target) => [target, meanOf(all.flatMap((scores) => (scores[target] ? [scores[target]] : [])))]),
  );
}

function meanOf(rows: TargetScores[]): TargetScores {
  const mean = (metric: keyof TargetScores) => average(rows.map((row) => row[metric]));
  return {
    dice: mean('dice'),
    predVoxels: mean('predVoxels') ?? 0,
    refVoxels: mean('refVoxels') ?? 0,
    iou: mean('iou'),
    precision: mean('precision'),
    recall: mean('recall'),
    swapRate: mean('swapRate'),
    clDice: mean('clDice'),
  };
}

function average(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
