import { FormatError } from '../errors.js';
import { CALL_OPTIONS, checkOptions, type Kinds, RECORD } from '../options.js';
import { type ByTarget, describeScores, namesIn, type ScoreDescription, type Scores } from '../scores.js';
import { type BootstrapSettings, type Interval, meanInterval } from '../statistics/bootstrap.js';
import { meanOf } from '../statistics/mean.js';
import { type Wilcoxon, wilcoxon } from '../statistics/wilcoxon.js';
import { type Evaluation, scoredCases } from './result.js';
import { readResult } from './result-file.js';
import { type BootstrapOptions, bootstrapSettings } from './statistics.js';

/** One score of one target of two models, over the cases in which both have it. */
export interface ScoreComparison {
  /** So many cases. */
  cases: number;
  /** The means of the first and the second model. */
  first: number;
  second: number;
  /** The mean of first − second. */
  difference: number;
  /** The confidence interval of the difference; `null` for fewer than two cases. */
  interval: Interval | null;
  /** Cases in which the first one's value is higher, and in which it is lower. */
  higher: number;
  lower: number;
  /** Whether one tends to be higher; `null` where no case differs. */
  wilcoxon: Wilcoxon | null;
}

/** Two models on the same cases. */
export interface Comparison {
  /** Cases that both have scores of. */
  cases: number;
  /** Cases that only the first, or only the second, has scores of; they are left out. */
  onlyFirst: string[];
  onlySecond: string[];
  /** By target and score; `null` where no case has it in both. */
  differences: ByTarget<ScoreComparison | null>;
  /** How the intervals were drawn. */
  bootstrap: BootstrapSettings;
  /** What the scores are. */
  scores: ScoreDescription[];
}

const OPTIONS: Kinds<BootstrapOptions> = { ...CALL_OPTIONS, bootstrap: RECORD };

/**
 * Compares two models case by case: what {@link evaluateFolders} gave, or result files (of `pulmoav evaluate -o`,
 * `summary.json` of a report or of nnU-Net). Cases are paired by name. The p-values are not corrected for their number.
 *
 * @throws IoError, FormatError where a file is no result, or no case has the same target in both
 * @example
 * const { differences } = await compare('a.json', 'b.json');
 * console.log(differences.artery?.dice?.difference, differences.artery?.dice?.wilcoxon?.p);
 */
export async function compare(
  first: string | Evaluation,
  second: string | Evaluation,
  options: BootstrapOptions = {},
): Promise<Comparison> {
  checkOptions(options, OPTIONS);
  const settings = bootstrapSettings(options.bootstrap);
  const [a, b] = [await scoresByName(first), await scoresByName(second)];
  const names = [...a.keys()].filter((name) => b.has(name));
  const pairs = names.map((name) => [a.get(name) ?? {}, b.get(name) ?? {}] as const);
  const { targets, scores } = namesIn(pairs.flatMap(([one, other]) => shared(one, other)));
  if (targets.length === 0) {
    throw new FormatError('ERR_FORMAT', 'The two results have no case and target in common, so nothing is compared.');
  }
  const differences: Comparison['differences'] = {};
  for (const [done, target] of targets.entries()) {
    options.onProgress?.({ stage: 'compare', done, total: targets.length });
    const row: Record<string, ScoreComparison | null> = {};
    for (const score of scores) {
      const values = pairs.flatMap(([one, other]) => bothOf(one[target]?.[score], other[target]?.[score]));
      row[score] = await compareScore(values, settings, options.signal);
    }
    differences[target] = row;
  }
  return {
    cases: names.length,
    onlyFirst: [...a.keys()].filter((name) => !b.has(name)),
    onlySecond: [...b.keys()].filter((name) => !a.has(name)),
    differences,
    bootstrap: settings,
    scores: describeScores(scores),
  };
}

/** Whether a row tells anything: what is no measure of quality, and the same for both, does not. */
export function isTelling({ better }: ScoreDescription, { higher, lower }: ScoreComparison): boolean {
  return better !== null || higher + lower > 0;
}

/** Which one is better, where neither the interval nor the test leaves that open; else `null`. */
export function betterOne(
  { better }: ScoreDescription,
  { interval, wilcoxon }: ScoreComparison,
  { level }: BootstrapSettings,
): 'first' | 'second' | null {
  const open = !interval || (interval.low <= 0 && interval.high >= 0) || !wilcoxon || wilcoxon.p >= 1 - level;
  if (better === null || open) return null;
  return (better === 'higher') === interval.low > 0 ? 'first' : 'second';
}

async function scoresByName(result: string | Evaluation): Promise<Map<string, Scores>> {
  if (typeof result === 'string') return readResult(result);
  return new Map(scoredCases(result).map(({ name, scores }) => [name, scores]));
}

/** The first one's scores of targets that both have. */
function shared(one: Scores, other: Scores): Scores[] {
  const targets = Object.entries(one).filter(([target]) => other[target] !== undefined);
  return targets.length > 0 ? [Object.fromEntries(targets)] : [];
}

type Pair = readonly [first: number, second: number];

function bothOf(first: number | null | undefined, second: number | null | undefined): Pair[] {
  return typeof first === 'number' && typeof second === 'number' ? [[first, second]] : [];
}

async function compareScore(
  pairs: Pair[],
  settings: BootstrapSettings,
  signal: AbortSignal | undefined,
): Promise<ScoreComparison | null> {
  const differences = pairs.map(([first, second]) => first - second);
  const [first, second] = [meanOf(pairs.map(([value]) => value)), meanOf(pairs.map(([, value]) => value))];
  const difference = meanOf(differences);
  if (first === null || second === null || difference === null) return null;
  return {
    cases: pairs.length,
    first,
    second,
    difference,
    interval: await meanInterval(differences, settings, signal),
    higher: differences.filter((value) => value > 0).length,
    lower: differences.filter((value) => value < 0).length,
    wilcoxon: wilcoxon(differences),
  };
}
