import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkPath, checkVolume } from './check.js';
import { IoError, isPulmoavError, type PulmoavError, UsageError } from './errors.js';
import type { EvaluationRequest } from './native/binding.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import { type CaseEvaluation, meanScores, type ScoreGroup, type Scores, type ScoringRule } from './scores.js';
import type { CallOptions, Volume } from './types.js';

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends CallOptions {
  /** Score inside this mask only (non-zero voxels), as a path. */
  within?: string | undefined;
  /**
   * Groups of scores (`overlap`: counts of voxels, `surface`: distances, `skeleton`: centrelines, `tree`: branches and
   * topology; `all` is every one) and names of single ones ({@link listScores}).
   * @default ['overlap']
   */
  scores?: readonly (ScoreGroup | 'all' | (string & {}))[] | undefined;
  /**
   * The group `skeleton` too (`clDice` and others), by 3-D thinning.
   * @default false
   */
  centrelines?: boolean | undefined;
  /**
   * A map of the lungs, as a path: 1 left and 2 right, or a label map of `pulmoav anatomy`. With it, rows for either
   * lung and for what lies outside both are given too, and scores by distance from the hilum.
   */
  lungs?: string | undefined;
  /** Which parts of a half-labelled reference are annotated; needs `lungs`. `central` is what lies outside them. */
  annotatedSides?: readonly ('left' | 'right' | 'central')[] | undefined;
  /** Values of the reference that do not count. */
  ignore?: readonly number[] | undefined;
  /**
   * Bring a prediction or mask that lies on another grid onto the reference's, each voxel with the nearest one's label,
   * instead of refusing it.
   * @default false
   */
  resample?: boolean | undefined;
  /** The reference's veins, as a path, where arteries (`ref`) and veins have a file each. */
  refVeins?: string | undefined;
  /**
   * What becomes of voxels that both files claim: they do not count, or are arteries or veins.
   * @default 'ignore'
   */
  overlap?: 'ignore' | 'artery' | 'vein' | undefined;
}

/**
 * Scores a label map against a reference on the same grid.
 *
 * @throws GeometryError when the grids differ, FormatError, IoError
 * @example
 * const { artery } = await evaluate('pred.nii.gz', 'ref.nii.gz', { scores: ['overlap', 'surface'] });
 * console.log(artery?.dice, artery?.hd95);
 */
export async function evaluate(
  pred: string | Volume,
  ref: string | Volume,
  options: EvaluateOptions = {},
): Promise<Scores> {
  return (await evaluateCase(pred, ref, options)).scores;
}

/**
 * As {@link evaluate}, with the rules that the scores go by: what empty masks mean, which voxels count.
 *
 * @throws what {@link evaluate} throws
 */
export async function evaluateCase(
  pred: string | Volume,
  ref: string | Volume,
  options: EvaluateOptions = {},
): Promise<CaseEvaluation> {
  const request = requestOf(options);
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

/** Values of the parts in a map of sides. */
const PARTS = { central: 0, left: 1, right: 2 };
const GROUPS = ['overlap', 'surface', 'skeleton', 'tree'] as const;

function requestOf(options: EvaluateOptions): EvaluationRequest {
  const { within, lungs, annotatedSides, ignore = [], refVeins, overlap = 'ignore' } = options;
  if (annotatedSides !== undefined && lungs === undefined) {
    throw new UsageError('annotatedSides needs a map of the lungs.', { hint: 'Name one with lungs (--lungs).' });
  }
  const unknown = annotatedSides?.find((side) => !(side in PARTS));
  if (unknown !== undefined) throw new UsageError(`There is no side "${unknown}"; expected left, right or central.`);
  const value = ignore.find((value) => !Number.isInteger(value) || value < 0 || value > 255);
  if (value !== undefined) throw new UsageError(`ignore holds ${value}; expected whole numbers from 0 to 255.`);
  return {
    within: within ?? null,
    lungs: lungs ?? null,
    annotated: annotatedSides?.map((side) => PARTS[side]) ?? null,
    scores: scoresOf(options),
    ignored: [...ignore],
    resample: options.resample ?? false,
    referenceVeins: refVeins ?? null,
    overlap,
  };
}

function scoresOf({ scores = ['overlap'], centrelines = false }: EvaluateOptions): string[] {
  if (scores.length === 0) throw new UsageError('scores is empty; expected groups or names of scores.');
  return scores.includes('all') ? [...GROUPS] : [...new Set([...scores, ...(centrelines ? ['skeleton'] : [])])];
}

/** One case of a batch: its scores, or why there are none. */
export type CaseScores = { name: string; scores: Scores; rules: ScoringRule[] } | { name: string; error: PulmoavError };

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
    const { scores, rules } = await evaluateCase(pred, ref, options);
    return { cases: [{ name: caseName(pred), scores, rules }], mean: scores };
  }
  const pairs = casePairs(pred, ref, options);
  const cases: CaseScores[] = [];
  for (const [done, pair] of pairs.entries()) {
    options.onProgress?.({ stage: 'evaluate', done, total: pairs.length });
    cases.push(await caseScores(pair, options));
  }
  return { cases, mean: meanScores(cases.flatMap((one) => ('scores' in one ? [one.scores] : []))) };
}

/** Every file that {@link evaluateFolders} reads for these paths. */
export function evaluatedFiles(pred: string, ref: string, masks: Masks = {}): string[] {
  const isFolder = existsSync(pred) && statSync(pred).isDirectory();
  const pairs = isFolder ? casePairs(pred, ref, masks) : [{ pred, ref, masks }];
  return pairs
    .flatMap((pair) => [pair.pred, pair.ref, ...Object.values(pair.masks)])
    .filter((file) => file !== undefined);
}

async function caseScores({ name, pred, ref, masks }: CasePair, options: EvaluateOptions): Promise<CaseScores> {
  try {
    const { onProgress: _, ...asked } = options;
    return { name, ...(await evaluateCase(pred, ref, { ...asked, ...masks })) };
  } catch (error) {
    if (!isPulmoavError(error) || error.code === 'ERR_INTERNAL') throw error;
    return { name, error };
  }
}

/** What is read beside prediction and reference: a file of a case, or a folder with the same names. */
export type Masks = Pick<EvaluateOptions, 'within' | 'lungs' | 'refVeins'>;

interface CasePair {
  name: string;
  pred: string;
  ref: string;
  masks: Masks;
}

function casePairs(pred: string, ref: string, { within, lungs, refVeins }: Masks): CasePair[] {
  const [predicted, references] = [labelMaps(pred), labelMaps(ref)];
  if (predicted.size === 0) throw new IoError('ERR_IO', `The folder "${pred}" holds no NIfTI, NRRD or MetaImage file.`);
  const names = [...new Set([...predicted.keys(), ...references.keys()])].sort();
  // What has no partner is told by the name it would have.
  const inFolder = (folder: string, maps: Map<string, string>) => (name: string) =>
    join(folder, maps.get(name) ?? predicted.get(name) ?? references.get(name) ?? name);
  const inOptional = (folder: string | undefined) =>
    folder === undefined ? () => undefined : inFolder(folder, labelMaps(folder));
  const [predOf, refOf] = [inFolder(pred, predicted), inFolder(ref, references)];
  const [withinOf, lungsOf, refVeinsOf] = [within, lungs, refVeins].map(inOptional);
  return names.map((name) => ({
    name,
    pred: predOf(name),
    ref: refOf(name),
    masks: { within: withinOf?.(name), lungs: lungsOf?.(name), refVeins: refVeinsOf?.(name) },
  }));
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
