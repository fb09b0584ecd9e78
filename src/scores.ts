import type * as Native from './native/binding.js';
import type { CaseEvaluation, Scores, ScoringRule, TargetScores } from './native/binding.js';
import { addon } from './native/load.js';
import { meanOf } from './statistics/mean.js';

export type { CaseEvaluation, Scores, ScoringRule, TargetScores };

/** Scores that are asked for together. */
export type ScoreGroup = Native.ScoreDescription['group'];

/** What a score is: name, title, unit (empty for a share from 0 to 1), which values are better. */
export interface ScoreDescription extends Omit<Native.ScoreDescription, 'group'> {
  /** With which others it is asked for; `null` for one that another program wrote. */
  group: ScoreGroup | null;
}

/** Every score that {@link evaluate} knows, in the order of results; the first one ranks cases. */
export function listScores(): ScoreDescription[] {
  return addon().listScores();
}

/** Values by target, then by score. */
export type ByTarget<Value> = Record<string, Record<string, Value>>;

/** What the scores with these names are, in the order of reports; one that is not known comes last, without a unit. */
export function describeScores(names: Iterable<string>): ScoreDescription[] {
  const present = new Set(names);
  const known = listScores().filter(({ name }) => present.delete(name));
  return [...known, ...[...present].map((name) => ({ name, title: name, unit: '', better: null, group: null }))];
}

/** The targets and scores that any case has, in the order in which they come first. */
export function namesIn(all: readonly Scores[]): { targets: string[]; scores: string[] } {
  const targets = new Set(all.flatMap((scores) => Object.keys(scores)));
  const scores = new Set(all.flatMap((scores) => Object.values(scores).flatMap((row) => Object.keys(row))));
  return { targets: [...targets], scores: [...scores] };
}

/** Means over the cases in which a score is a number. */
export function meanScores(all: readonly Scores[]): Scores {
  const { targets } = namesIn(all);
  const rows = (target: string) => all.flatMap((scores) => (scores[target] ? [scores[target]] : []));
  return Object.fromEntries(targets.map((target) => [target, meanRow(rows(target))]));
}

function meanRow(rows: TargetScores[]): TargetScores {
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  return Object.fromEntries([...names].map((name) => [name, meanOf(rows.map((row) => row[name] ?? null))]));
}
