import { setImmediate } from 'node:timers/promises';
import { meanOf } from './mean.js';
import { normalCdf, normalQuantile } from './normal.js';
import { quantile } from './quantile.js';
import { Random } from './random.js';

/** How confidence intervals are drawn. */
export interface BootstrapSettings {
  /** How often cases are drawn anew. */
  draws: number;
  /** Seed of the draws: the same seed gives the same intervals on every machine. */
  seed: number;
  /** Share of such intervals that hold the true mean, above 0 and below 1. */
  level: number;
}

/** A confidence interval of a mean. */
export interface Interval {
  low: number;
  high: number;
}

/** So many cases are drawn before others get their turn. */
const DRAWS_AT_ONCE = 1 << 20;

/**
 * The bias-corrected and accelerated bootstrap interval (BCa) of a mean: Efron, "Better bootstrap confidence
 * intervals", J. Am. Stat. Assoc. 82, 1987; Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, 14.3.
 *
 * @returns `null` for fewer than two values; both ends are the mean where all values are equal
 * @throws `signal.reason` when cancelled
 */
export async function meanInterval(
  values: readonly number[],
  { draws, seed, level }: BootstrapSettings,
  signal?: AbortSignal,
): Promise<Interval | null> {
  const mean = meanOf(values);
  if (mean === null || values.length < 2) return null;
  if (values.every((value) => value === values[0])) return { low: mean, high: mean };
  const means = (await resampledMeans(values, draws, seed, signal)).sort();
  const bias = normalQuantile(clamped(shareBelow(means, mean), 0.5 / draws));
  const acceleration = skew(values, mean) / 6;
  const end = (share: number) => {
    const shifted = bias + normalQuantile(share);
    return quantile(means, normalCdf(bias + shifted / (1 - acceleration * shifted)));
  };
  return { low: end((1 - level) / 2), high: end((1 + level) / 2) };
}

async function resampledMeans(
  values: readonly number[],
  draws: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const [random, count] = [new Random(seed), values.length];
  const means = new Float64Array(draws);
  const pause = Math.ceil(DRAWS_AT_ONCE / count);
  for (let draw = 0; draw < draws; draw++) {
    if (draw % pause === 0) {
      await setImmediate();
      signal?.throwIfAborted();
    }
    let sum = 0;
    for (let at = 0; at < count; at++) sum += values[random.below(count)] ?? 0;
    means[draw] = sum / count;
  }
  return means;
}

/** The share of the means below `mean`; those that equal it count half. */
function shareBelow(means: Float64Array, mean: number): number {
  let twice = 0;
  for (const drawn of means) twice += drawn < mean ? 2 : drawn === mean ? 1 : 0;
  return twice / (2 * means.length);
}

/** Σ(x − x̄)³ ÷ (Σ(x − x̄)²)^1.5, which is six times the jackknife's acceleration of a mean. */
function skew(values: readonly number[], mean: number): number {
  let [squares, cubes] = [0, 0];
  for (const value of values) {
    squares += (value - mean) ** 2;
    cubes += (value - mean) ** 3;
  }
  return cubes / squares ** 1.5;
}

function clamped(share: number, margin: number): number {
  return Math.min(1 - margin, Math.max(margin, share));
}
