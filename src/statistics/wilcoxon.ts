import { normalTail } from './normal.js';

/** Wilcoxon's signed-rank test of paired differences, two-sided. */
export interface Wilcoxon {
  /** The smaller one of the rank sums of positive and of negative differences. */
  statistic: number;
  /** How often the statistic is so small where neither side tends to be higher. */
  p: number;
  /** Differences that are not 0. */
  pairs: number;
  /** `exact`: over all signs; `normal`: by its normal limit, with the correction for ties. */
  method: 'exact' | 'normal';
}

/** Up to so many pairs all signs are counted. */
const EXACT_PAIRS = 25;

/**
 * Wilcoxon's signed-rank test (Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945).
 * Differences of 0 are left out. Exact for up to 25 pairs without ties and zeros, else by the normal limit with the
 * variance n(n + 1)(2n + 1)/24 − Σ(t³ − t)/48 over ties of t (Hollander and Wolfe, "Nonparametric Statistical
 * Methods", 3.1), without a continuity correction.
 *
 * @returns `null` where every difference is 0
 */
export function wilcoxon(differences: readonly number[]): Wilcoxon | null {
  const sizes = differences.filter((difference) => difference !== 0).sort((a, b) => Math.abs(a) - Math.abs(b));
  const pairs = sizes.length;
  if (pairs === 0) return null;
  const { positive, ties } = ranked(sizes);
  const total = (pairs * (pairs + 1)) / 2;
  const statistic = Math.min(positive, total - positive);
  if (pairs <= EXACT_PAIRS && pairs === differences.length && ties === 0) {
    return { statistic, p: exactP(statistic, pairs), pairs, method: 'exact' };
  }
  const deviation = Math.sqrt((pairs * (pairs + 1) * (2 * pairs + 1)) / 24 - ties / 48);
  return { statistic, p: Math.min(1, 2 * normalTail((total / 2 - statistic) / deviation)), pairs, method: 'normal' };
}

/** The rank sum of the positive ones of differences that ascend in size, and Σ(t³ − t) over ties of t. */
function ranked(sizes: readonly number[]): { positive: number; ties: number } {
  let [positive, ties] = [0, 0];
  for (let first = 0, next: number; first < sizes.length; first = next) {
    next = first + 1;
    while (next < sizes.length && Math.abs(sizes[next] ?? 0) === Math.abs(sizes[first] ?? 0)) next++;
    const [rank, tied] = [(first + 1 + next) / 2, next - first];
    positive += rank * sizes.slice(first, next).filter((difference) => difference > 0).length;
    ties += tied ** 3 - tied;
  }
  return { positive, ties };
}

/** Twice the share of the 2ⁿ signs whose positive ranks sum to `statistic` or less. */
function exactP(statistic: number, pairs: number): number {
  const ways = new Float64Array((pairs * (pairs + 1)) / 2 + 1);
  ways[0] = 1;
  for (let rank = 1; rank <= pairs; rank++) {
    for (let sum = ways.length - 1; sum >= rank; sum--) ways[sum] = (ways[sum] ?? 0) + (ways[sum - rank] ?? 0);
  }
  const below = ways.subarray(0, statistic + 1).reduce((sum, count) => sum + count, 0);
  return Math.min(1, (2 * below) / 2 ** pairs);
}
