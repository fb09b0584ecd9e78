import type { CaseEvaluation, ScoreDescription, Scores, ScoringRule, TargetScores } from './native/binding.js';
import { addon } from './native/load.js';

export type { CaseEvaluation, ScoreDescription, Scores, ScoringRule, TargetScores };

/** Scores that are asked for together. */
export type ScoreGroup = ScoreDescription['group'];

/** Every score that {@link evaluate} knows, in the order of results: name, title, unit, which values are better. */
export function listScores(): ScoreDescription[] {
  return addon().listScores();
}

/** Means over the cases in which a score is a number. */
export function meanScores(all: Scores[]): Scores {
  const targets = new Set(all.flatMap((scores) => Object.keys(scores)));
  return Object.fromEntries(
    [...targets].map((target) => [target, meanOf(all.flatMap((scores) => (scores[target] ? [scores[target]] : [])))]),
  );
}

function meanOf(rows: TargetScores[]): TargetScores {
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  return Object.fromEntries([...names].map((name) => [name, average(rows.map((row) => row[name] ?? null))]));
}

function average(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
