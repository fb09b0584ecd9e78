/** Scores of one target. */
export interface TargetScores {
  /** 2·|P ∩ R| ÷ (|P| + |R|); `null` when both are empty. */
  dice: number | null;
  /** Voxels predicted. */
  predVoxels: number;
  /** Voxels of the reference. */
  refVoxels: number;
  /** Further metrics by name. */
  [metric: string]: number | null;
}

/** Scores of one case. */
export interface Scores {
  /** By target: `artery`, `vein`, … */
  [target: string]: TargetScores;
}

/** Means over the cases in which a metric is a number. */
export function meanScores(all: Scores[]): Scores {
  const mean: Scores = {};
  for (const target of new Set(all.flatMap((scores) => Object.keys(scores)))) {
    const rows = all.flatMap((scores) => (scores[target] ? [scores[target]] : []));
    const metrics = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    mean[target] = Object.fromEntries(
      metrics.map((metric) => [metric, average(rows.map((row) => row[metric]))]),
    ) as TargetScores;
  }
  return mean;
}

function average(values: (number | null | undefined)[]): number | null {
  const known = values.filter((value) => typeof value === 'number');
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
