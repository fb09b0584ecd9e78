import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkPath, checkVolume } from './check.js';
import { IoError, UsageError } from './errors.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import { meanScores, type Scores } from './scores.js';
import type { CallOptions, Volume } from './types.js';
import { geometryJson } from './volume.js';

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends CallOptions {
  /** Score inside this mask only (non-zero voxels), as a path. */
  within?: string | undefined;
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
  const json = JSON.stringify({ within: options.within ?? null });
  const { value } = await call<Scores>(options, (monitor) => {
    if (typeof pred === 'string' && typeof ref === 'string') {
      checkPath('pred', pred);
      checkPath('ref', ref);
      return addon().evaluateFiles(pred, ref, json, monitor);
    }
    if (typeof pred === 'string' || typeof ref === 'string') {
      throw new UsageError('pred and ref must both be paths or both be volumes.');
    }
    checkVolume('pred', pred);
    checkVolume('ref', ref);
    return addon().evaluateVolumes(geometryJson(pred), pred.data, geometryJson(ref), ref.data, json, monitor);
  });
  return value;
}

/** Scores of a batch. */
export interface BatchScores {
  /** One entry a case, by name. */
  cases: { name: string; scores: Scores }[];
  /** Means over the cases in which the metric is defined. */
  mean: Scores;
}

/**
 * Scores a label map against a reference, or a folder of them against a folder with the same file names.
 *
 * @throws UsageError when a reference is missing, and everything {@link evaluate} throws
 */
export async function evaluateFolders(pred: string, ref: string, options: EvaluateOptions = {}): Promise<BatchScores> {
  const pairs = casePairs(pred, ref, options.within);
  const cases: BatchScores['cases'] = [];
  for (const [done, pair] of pairs.entries()) {
    options.onProgress?.({ stage: 'evaluate', done, total: pairs.length });
    const scores = await evaluate(pair.pred, pair.ref, { signal: options.signal, within: pair.within });
    cases.push({ name: pair.name, scores });
  }
  return { cases, mean: meanScores(cases.map(({ scores }) => scores)) };
}

interface CasePair {
  name: string;
  pred: string;
  ref: string;
  within: string | undefined;
}

function casePairs(pred: string, ref: string, within: string | undefined): CasePair[] {
  for (const path of [pred, ref]) {
    if (!existsSync(path)) throw new IoError('ERR_IO', `"${path}" does not exist.`);
  }
  if (!statSync(pred).isDirectory()) return [{ name: caseName(pred), pred, ref, within }];
  const files = readdirSync(pred)
    .filter((file) => /\.nii(\.gz)?$/.test(file))
    .sort();
  if (files.length === 0) throw new UsageError(`The folder "${pred}" holds no .nii or .nii.gz file.`);
  return files.map((file) => {
    const reference = join(ref, file);
    if (!existsSync(reference)) throw new UsageError(`There is no reference "${reference}" for "${join(pred, file)}".`);
    return { name: caseName(file), pred: join(pred, file), ref: reference, within: within && join(within, file) };
  });
}

function caseName(path: string): string {
  return basename(path).replace(/\.nii(\.gz)?$/, '');
}
