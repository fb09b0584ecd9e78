import { join } from 'node:path';
import { checkPath } from '../check.js';
import { PICTURED_CASES } from '../config/evaluate.js';
import { type Comparison, compare } from '../evaluate/compare.js';
import { type Evaluation, scoredCases } from '../evaluate/result.js';
import { makeFolder, refuseSamePlace, writeAtomic } from '../files.js';
import { CALL_OPTIONS, checkOptions, integer, type Kinds, PATH, RECORD } from '../options.js';
import type { CallOptions, Warning } from '../types.js';
import { scoresCsv } from './evaluation/csv.js';
import { nnunetSummary } from './evaluation/nnunet-summary.js';
import { reportPage } from './evaluation/page.js';
import { drawWorst } from './evaluation/pictures.js';

/** An evaluation that is written to a folder. */
export interface EvaluationJob {
  evaluation: Evaluation;
  /** A second model on the same references, to compare with. */
  against?: Evaluation | undefined;
  /** The folder, made where it is missing; other files in it are left alone. */
  out: string;
  /** Folder of the scans, drawn behind the outlines; files pair by name, nnU-Net's `_0000` included. */
  images?: string | undefined;
  /** So many of the worst cases are drawn. @default 6 */
  pictures?: number | undefined;
}

/** What was written of an {@link EvaluationJob}. */
export interface EvaluationReport {
  /** The files, by what they are. */
  files: EvaluationFiles;
  /** `null` without a second model. */
  comparison: Comparison | null;
  /** `NO_PICTURE`, `NO_SCAN`: what could not be drawn. */
  warnings: Warning[];
}

/** Files of an {@link EvaluationReport}. */
export interface EvaluationFiles {
  /** nnU-Net's `summary.json`, with all of ours under `pulmoav`. */
  summary: string;
  /** A row a case and target, a column a score. */
  scores: string;
  /** One page that needs no other file. */
  page: string;
  /** Of the second model, where there is one. */
  againstSummary?: string;
  againstScores?: string;
  comparison?: string;
}

const JOB: Kinds<EvaluationJob> = {
  evaluation: RECORD,
  against: RECORD,
  out: PATH,
  images: PATH,
  pictures: integer(0, 1000),
};

/**
 * Writes an evaluation to a folder: `summary.json` as nnU-Net has it, `scores.csv` and `report.html`, a page that loads
 * nothing from elsewhere. With a second model, its `against-summary.json` and `against-scores.csv`, and
 * `comparison.json`. Each file appears whole or not at all, and none replaces what was read.
 *
 * @throws UsageError, IoError, FormatError; FormatError where the two models have no case in common
 * @example
 * const evaluation = await evaluateFolders('predictions', 'labelsTs');
 * const { files } = await evaluationToFolder({ evaluation, out: 'report', images: 'imagesTs' });
 * console.log(files.page);
 */
export async function evaluationToFolder(job: EvaluationJob, options: CallOptions = {}): Promise<EvaluationReport> {
  checkOptions(job, JOB);
  checkOptions(options, CALL_OPTIONS);
  const { evaluation, against, out, images, pictures: count = PICTURED_CASES } = job;
  const files = await prepareFolder(out, against !== undefined, filesRead(evaluation, against));
  const { bootstrap } = evaluation;
  const comparison = against && (await compare(evaluation, against, { ...options, bootstrap }));
  const { pictures, warnings } = await drawWorst({ evaluation, against, images, count }, options);
  await writeAtomic(files.summary, json(nnunetSummary(evaluation)));
  await writeAtomic(files.scores, scoresCsv(evaluation));
  if (against && files.againstSummary && files.againstScores && files.comparison) {
    await writeAtomic(files.againstSummary, json(nnunetSummary(against)));
    await writeAtomic(files.againstScores, scoresCsv(against));
    await writeAtomic(files.comparison, json({ schemaVersion: 1, ...comparison }));
  }
  await writeAtomic(files.page, reportPage({ evaluation, against, comparison, pictures, warnings }));
  return { files, comparison: comparison ?? null, warnings };
}

/**
 * Makes the folder and names its files, before work starts that ends in it.
 *
 * @throws UsageError where one would replace one of `inputs`, IoError
 */
export async function prepareFolder(out: string, compared: boolean, inputs: string[]): Promise<EvaluationFiles> {
  checkPath('The folder', out);
  const files: EvaluationFiles = {
    summary: join(out, 'summary.json'),
    scores: join(out, 'scores.csv'),
    page: join(out, 'report.html'),
    ...(compared && {
      againstSummary: join(out, 'against-summary.json'),
      againstScores: join(out, 'against-scores.csv'),
      comparison: join(out, 'comparison.json'),
    }),
  };
  for (const file of Object.values(files)) refuseSamePlace(file, inputs);
  await makeFolder(out);
  return files;
}

function filesRead(...evaluations: (Evaluation | undefined)[]): string[] {
  return evaluations
    .flatMap((evaluation) => (evaluation ? scoredCases(evaluation) : []))
    .flatMap((one) => [one.pred, one.ref, ...(one.within === undefined ? [] : [one.within])]);
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
