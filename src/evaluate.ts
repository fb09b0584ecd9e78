import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkPath, checkVolume } from './check.js';
import { IoError, isPulmoavError, type PulmoavError, UsageError } from './errors.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import { meanScores, type Scores } from './scores.js';
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

/** One case of a batch: its scores, or why there are none. */
export type CaseScores = { name: string; scores: Scores } | { name: string; error: PulmoavError };

/** Scores of a batch. */
export interface BatchScores {
  /** One entry a case, by name. */
  cases: CaseScores[];
  /** Means over the cases in which the metric is defined. */
  mean: Scores;
}

/**
 * Scores a label map against a reference, or a folder of them against a folder with the same names, whatever their
 * formats. In a folder, a case that cannot be scored, a missing prediction for one, is listed with its error and does
 * not stop the others.
 *
 * @throws IoError where a path or a folder's files are missing; everything {@link evaluate} throws for a single file
 */
export async function evaluateFolders(pred: string, ref: string, options: EvaluateOptions = {}): Promise<BatchScores> {
  for (const path of [pred, ref]) {
    if (!existsSync(path)) throw new IoError('ERR_IO', `"${path}" does not exist.`);
  }
  if (!statSync(pred).isDirectory()) {
    const scores = await evaluate(pred, ref, options);
    return { cases: [{ name: caseName(pred), scores }], mean: scores };
  }
  const pairs = casePairs(pred, ref, options.within);
  const cases: CaseScores[] = [];
  for (const [done, pair] of pairs.entries()) {
    options.onProgress?.({ stage: 'evaluate', done, total: pairs.length });
    cases.push(await caseScores(pair, options));
  }
  return { cases, mean: meanScores(cases.flatMap((one) => ('scores' in one ? [one.scores] : []))) };
}

/** Every file that {@link evaluateFolders} reads for these paths. */
export function evaluatedFiles(pred: string, ref: string, within?: string): string[] {
  const isFolder = existsSync(pred) && statSync(pred).isDirectory();
  const pairs = isFolder ? casePairs(pred, ref, within) : [{ pred, ref, within }];
  return pairs.flatMap((pair) => [pair.pred, pair.ref, ...(pair.within === undefined ? [] : [pair.within])]);
}

async function caseScores({ name, pred, ref, within }: CasePair, options: EvaluateOptions): Promise<CaseScores> {
  try {
    return {
      name,
      scores: await evaluate(pred, ref, { signal: options.signal, centrelines: options.centrelines, within }),
    };
  } catch (error) {
    if (!isPulmoavError(error) || error.code === 'ERR_INTERNAL') throw error;
    return { name, error };
  }
}

interface CasePair {
  name: string;
  pred: string;
  ref: string;
  within: string | undefined;
}

function casePairs(pred: string, ref: string, within: string | undefined): CasePair[] {
  const [predicted, references] = [labelMaps(pred), labelMaps(ref)];
  if (predicted.size === 0) throw new IoError('ERR_IO', `The folder "${pred}" holds no NIfTI, NRRD or MetaImage file.`);
  const masks = within === undefined ? null : labelMaps(within);
  const names = [...new Set([...predicted.keys(), ...references.keys()])].sort();
  return names.map((name) => {
    // What has no partner is told by the name it would have.
    const file = (maps: Map<string, string>) => maps.get(name) ?? predicted.get(name) ?? references.get(name) ?? name;
    return {
      name,
      pred: join(pred, file(predicted)),
      ref: join(ref, file(references)),
      within: masks && within !== undefined ? join(within, file(masks)) : undefined,
    };
  });
}

/** Endings of the label maps that are read. */
const LABEL_MAP = /\.(nii|nii\.gz|hdr|hdr\.gz|nrrd|nhdr|mha|mhd)$/i;

/** The label maps of a folder by their case's name. */
function labelMaps(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of filesOf(folder).filter((file) => LABEL_MAP.test(file))) {
    const name = caseName(file);
    const other = found.get(name);
    if (other) {
      throw new UsageError(`The folder "${folder}" holds ${other} and ${file}, two label maps of one name.`, {
        hint: 'Move one of them elsewhere.',
      });
    }
    found.set(name, file);
  }
  return found;
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw new IoError('ERR_IO', `The folder "${folder}" could not be read: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

function caseName(path: string): string {
  return basename(path).replace(LABEL_MAP, '');
}
