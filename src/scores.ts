import type { Scores, TargetScores } from './native/binding.js';
import { meanOf } from './statistics/mean.js';

export type { Scores, TargetScores };

/** What a score is: for tables, charts and whoever reads a result file. */
export interface ScoreDescription {
  /** Its name in {@link TargetScores}. */
  name: string;
  /** What people call it. */
  title: string;
  /** `voxels`, `mm`, …; empty for a share from 0 to 1. */
  unit: string;
  /** Which values are better; `null` where neither is. */
  better: 'higher' | 'lower' | null;
}

/** Every score, in the order of reports; the first one ranks cases. */
export const SCORES: readonly ScoreDescription[] = [
  { name: 'dice', title: 'Dice', unit: '', better: 'higher' },
  { name: 'iou', title: 'IoU', unit: '', better: 'higher' },
  { name: 'precision', title: 'Precision', unit: '', better: 'higher' },
  { name: 'recall', title: 'Recall', unit: '', better: 'higher' },
  { name: 'swapRate', title: 'Swapped', unit: '', better: 'lower' },
  { name: 'clDice', title: 'clDice', unit: '', better: 'higher' },
  { name: 'predVoxels', title: 'Predicted', unit: 'voxels', better: null },
  { name: 'refVoxels', title: 'Reference', unit: 'voxels', better: null },
];

/** Values by target, then by score. */
export type ByTarget<Value> = Record<string, Record<string, Value>>;

/** Scores by target, whatever their names: also those of result files that other versions or programs wrote. */
export type AnyScores = ByTarget<number | null>;

/** What the scores with these names are, in the order of reports; one that is not listed comes last, without a unit. */
export function describeScores(names: Iterable<string>): ScoreDescription[] {
  const present = new Set(names);
  const known = SCORES.filter(({ name }) => present.delete(name));
  return [...known, ...[...present].map((name) => ({ name, title: name, unit: '', better: null }))];
}

/** The targets and scores that any case has, in the order in which they come first. */
export function namesIn(all: readonly AnyScores[]): { targets: string[]; scores: string[] } {
  const targets = new Set(all.flatMap((scores) => Object.keys(scores)));
  const scores = new Set(all.flatMap((scores) => Object.values(scores).flatMap((row) => Object.keys(row))));
  return { targets: [...targets], scores: [...scores] };
}

/** Scores whose names are not asked for. */
export function anyScores(scores: Scores): AnyScores {
  return Object.fromEntries(Object.entries(scores).map(([target, row]) => [target, { ...row }]));
}

/** Means over the cases in which a metric is a number. */
export function meanScores(all: Scores[]): Scores {
  const targets = new Set(all.flatMap((scores) => Object.keys(scores)));
  return Object.fromEntries(
    [...targets].map((target) => [target, meanRow(all.flatMap((scores) => scores[target] ?? []))]),
  );
}

function meanRow(rows: TargetScores[]): TargetScores {
  const mean = (metric: keyof TargetScores) => meanOf(rows.map((row) => row[metric]));
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
