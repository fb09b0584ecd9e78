import { type Evaluation, type ScoredCase, scoredCases } from '../../evaluate/result.js';
import type { ScoreDescription } from '../../scores.js';
import { meanOf } from '../../statistics/mean.js';

/** A case and the value that it is ranked by. */
export interface RankedCase {
  one: ScoredCase;
  /** The mean over its targets; `null` where none has the score. */
  value: number | null;
}

/** The score that cases are ranked by: the first one of which it is known which values are better. */
export function rankingScore({ scores }: Evaluation): ScoreDescription | undefined {
  return scores.find(({ better }) => better !== null);
}

/** The scored cases, worst first; those without the score come last. */
export function ranked(evaluation: Evaluation): RankedCase[] {
  const score = rankingScore(evaluation);
  const sign = score?.better === 'lower' ? -1 : 1;
  const cases = scoredCases(evaluation).map((one) => {
    const rows = Object.values(one.scores);
    return { one, value: score ? meanOf(rows.map((row) => row[score.name] ?? null)) : null };
  });
  const key = ({ value }: RankedCase) => (value === null ? Number.POSITIVE_INFINITY : sign * value);
  return cases.sort((a, b) => (key(a) === key(b) ? 0 : key(a) - key(b)));
}
