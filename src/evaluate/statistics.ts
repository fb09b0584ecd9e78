import { checkInteger } from '../check.js';
import { bootstrapDefaults } from '../config/evaluate.js';
import { UsageError } from '../errors.js';
import { type ByTarget, namesIn, type Scores } from '../scores.js';
import { type BootstrapSettings, type Interval, meanInterval } from '../statistics/bootstrap.js';
import type { CallOptions } from '../types.js';

/** Options of whatever draws confidence intervals. */
export interface BootstrapOptions extends CallOptions {
  /**
   * How confidence intervals are drawn.
   *
   * @default 10,000 draws with seed 1, for intervals of 95 %
   */
  bootstrap?: Partial<BootstrapSettings> | undefined;
}

/**
 * Settings with their defaults.
 *
 * @throws UsageError
 */
export function bootstrapSettings(given: Partial<BootstrapSettings> = {}): BootstrapSettings {
  const settings = { ...bootstrapDefaults, ...given };
  checkInteger('bootstrap.draws', settings.draws, 100, 10_000_000);
  checkInteger('bootstrap.seed', settings.seed, 0, 0xffff_ffff);
  if (!(settings.level > 0 && settings.level < 1)) {
    throw new UsageError(`bootstrap.level must lie between 0 and 1, but it is ${settings.level}.`);
  }
  return settings;
}

/**
 * The interval of each target's and score's mean over the cases in which it is a number; `null` for fewer than two.
 *
 * @throws `signal.reason` when cancelled
 */
export async function scoreIntervals(
  all: readonly Scores[],
  settings: BootstrapSettings,
  options: CallOptions,
): Promise<ByTarget<Interval | null>> {
  const { targets, scores } = namesIn(all);
  const intervals: ByTarget<Interval | null> = {};
  for (const [done, target] of targets.entries()) {
    options.onProgress?.({ stage: 'intervals', done, total: targets.length });
    const row: Record<string, Interval | null> = {};
    for (const score of scores) row[score] = await meanInterval(known(all, target, score), settings, options.signal);
    intervals[target] = row;
  }
  return intervals;
}

/** The values of a target's score that are numbers. */
export function known(all: readonly Scores[], target: string, score: string): number[] {
  return all.map((scores) => scores[target]?.[score]).filter((value) => typeof value === 'number');
}
