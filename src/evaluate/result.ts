import { isPulmoavError, type PulmoavError } from '../errors.js';
import type { ByTarget, ScoreDescription, Scores, ScoringRule } from '../scores.js';
import type { BootstrapSettings, Interval } from '../statistics/bootstrap.js';

/** A case that was scored. */
export interface ScoredCase {
  name: string;
  /** The files that were compared. */
  pred: string;
  ref: string;
  /** The mask inside which voxels counted; missing where all of them did. */
  within?: string;
  scores: Scores;
  /** What the scores go by: what empty masks mean, which voxels count. */
  rules: ScoringRule[];
  /** Voxels of the grid that count. */
  countedVoxels: number;
}

/** A case that could not be scored, and why. */
export interface FailedCase {
  name: string;
  error: PulmoavError;
}

/** One case of a folder. */
export type CaseResult = ScoredCase | FailedCase;

/** A file that has no partner of its name. */
export interface UnpairedFile {
  name: string;
  file: string;
  /** What is missing beside it. */
  missing: 'prediction' | 'reference';
}

/** Scores of a folder of label maps. */
export interface Evaluation {
  /** The label maps and the references, as they were given. */
  pred: string;
  ref: string;
  /** One entry a case, by name. */
  cases: CaseResult[];
  /** Means over the cases in which a score is defined. */
  mean: Scores;
  /** Of each mean, its confidence interval over the cases; `null` where fewer than two have the score. */
  intervals: ByTarget<Interval | null>;
  /** How the intervals were drawn. */
  bootstrap: BootstrapSettings;
  /** Files without a partner; each is among the failed cases too. */
  unpaired: UnpairedFile[];
  /** What the scores are. */
  scores: ScoreDescription[];
}

/** The cases that were scored. */
export function scoredCases({ cases }: Pick<Evaluation, 'cases'>): ScoredCase[] {
  return cases.filter((one) => 'scores' in one);
}

/** The cases that were not. */
export function failedCases({ cases }: Pick<Evaluation, 'cases'>): FailedCase[] {
  return cases.filter((one) => 'error' in one);
}

/** An evaluation as result files hold it: errors by code, message and hint. */
export function evaluationJson(evaluation: Evaluation): object {
  return { ...evaluation, cases: evaluation.cases.map(caseJson) };
}

function caseJson(one: CaseResult): object {
  if (!('error' in one)) return one;
  const { code, message, hint } = one.error;
  return { name: one.name, error: { code, message, hint: hint ?? null } };
}

/** A failure as one of a batch. */
export function failedCase(name: string, error: unknown): FailedCase {
  if (!isPulmoavError(error)) throw error;
  return { name, error };
}
