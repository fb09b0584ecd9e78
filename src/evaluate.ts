import { existsSync, statSync } from 'node:fs';
import { checkPath, checkVolume } from './check.js';
import { IoError, UsageError } from './errors.js';
import { type CasePair, caseName, casePairs } from './evaluate/pairs.js';
import { type CaseResult, type Evaluation, failedCase, scoredCases, type UnpairedFile } from './evaluate/result.js';
import { type BootstrapOptions, bootstrapSettings, scoreIntervals } from './evaluate/statistics.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import { anyScores, describeScores, meanScores, namesIn, type Scores } from './scores.js';
import type { CallOptions, Volume } from './types.js';

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends CallOptions {
  /** Score inside this mask only (non-zero voxels), as a path. */
  within?: string | undefined;
  /**
   * Compare centrelines too (`clDice`), by 3-D thinning: seconds instead of a tenth.
   * @default false
   */
  centrelines?: boolean | undefined;
}

/**
 * Scores a label map against a reference on the same grid.
 *
 * @throws GeometryError when the grids differ, FormatError, IoError
 */
export async function evaluate(
  pred: string | Volume,
  ref: string | Volume,
  options: EvaluateOptions = {},
): Promise<Scores> {
  const request = { within: options.within ?? null, centrelines: options.centrelines ?? false };
  return await call(options, async (monitor) => {
    if (typeof pred === 'string' && typeof ref === 'string') {
      checkPath('pred', pred);
      checkPath('ref', ref);
      return await addon().evaluateFiles(pred, ref, request, monitor);
    }
    if (typeof pred === 'string' || typeof ref === 'string') {
      throw new UsageError('pred and ref must both be paths or both be volumes.');
    }
    checkVolume('pred', pred);
    checkVolume('ref', ref);
    return await addon().evaluateVolumes(pred, ref, request, monitor);
  });
}

/** Options of {@link evaluateFolders}; `within` is a folder of masks where `pred` is a folder. */
export interface EvaluateFoldersOptions extends EvaluateOptions, BootstrapOptions {}

/**
 * Scores a folder of label maps against a folder with the same names, whatever their formats, or one label map against
 * its reference. In a folder, a case that cannot be scored, a missing prediction for one, is listed with its error and
 * does not stop the others.
 *
 * @throws IoError where a path or a folder's files are missing; everything {@link evaluate} throws for a single file
 * @example
 * const { mean, intervals, cases } = await evaluateFolders('predictions', 'labelsTs');
 * console.log(mean.artery?.dice, intervals.artery?.dice, cases.filter((one) => 'error' in one));
 */
export async function evaluateFolders(
  pred: string,
  ref: string,
  options: EvaluateFoldersOptions = {},
): Promise<Evaluation> {
  const settings = bootstrapSettings(options.bootstrap);
  const alone = !areFolders(pred, ref);
  const pairs = pairsOf(pred, ref, options.within);
  const cases: CaseResult[] = [];
  for (const [done, pair] of pairs.entries()) {
    options.signal?.throwIfAborted();
    if (!alone) options.onProgress?.({ stage: 'evaluate', done, total: pairs.length });
    const scored = scoreCase(pair, options);
    cases.push(alone ? await scored : await scored.catch((error) => failedCase(pair.name, error)));
  }
  const scored = scoredCases({ cases }).map(({ scores }) => scores);
  const all = scored.map(anyScores);
  return {
    pred,
    ref,
    cases,
    mean: meanScores(scored),
    intervals: await scoreIntervals(all, settings, options),
    bootstrap: settings,
    unpaired: pairs.flatMap(unpaired),
    scores: describeScores(namesIn(all).scores),
  };
}

/** Every file that {@link evaluateFolders} reads for these paths. */
export function evaluatedFiles(pred: string, ref: string, within?: string): string[] {
  const pairs = pairsOf(pred, ref, within);
  return pairs.flatMap((pair) => [pair.pred, pair.ref, pair.within]).filter((file) => typeof file === 'string');
}

function pairsOf(pred: string, ref: string, within: string | undefined): CasePair[] {
  if (areFolders(pred, ref)) return casePairs(pred, ref, within);
  return [{ name: caseName(pred), pred, ref, ...(within !== undefined && { within }) }];
}

/** Whether both are folders. */
function areFolders(pred: string, ref: string): boolean {
  for (const path of [pred, ref]) {
    if (!existsSync(path)) throw new IoError('ERR_IO', `"${path}" does not exist.`);
  }
  const [a, b] = [pred, ref].map((path) => statSync(path).isDirectory());
  if (a !== b) throw new UsageError(`"${pred}" and "${ref}" must both be files or both be folders.`);
  return a === true;
}

function unpaired({ name, pred, ref }: CasePair): UnpairedFile[] {
  if (pred !== null && ref === null) return [{ name, file: pred, missing: 'reference' }];
  return pred === null && ref !== null ? [{ name, file: ref, missing: 'prediction' }] : [];
}

async function scoreCase({ name, pred, ref, within }: CasePair, options: EvaluateOptions): Promise<CaseResult> {
  if (pred === null || ref === null) {
    const [there, missing] = pred === null ? [ref, 'prediction'] : [pred, 'reference'];
    throw new IoError('ERR_IO', `"${there}" has no ${missing} of its name.`);
  }
  if (within === null) throw new IoError('ERR_IO', `"${ref}" has no mask of its name.`);
  const { signal, centrelines } = options;
  const scores = await evaluate(pred, ref, { signal, centrelines, within });
  return { name, pred, ref, ...(within !== undefined && { within }), scores };
}
