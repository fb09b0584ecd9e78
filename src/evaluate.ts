import { existsSync, statSync } from 'node:fs';
import { freemem } from 'node:os';
import { checkPath, checkVolume } from './check.js';
import { IoError, UsageError } from './errors.js';
import { type CasePair, caseName, casePairs, type Masks } from './evaluate/pairs.js';
import { type CaseResult, type Evaluation, failedCase, scoredCases, type UnpairedFile } from './evaluate/result.js';
import { sideBySide } from './evaluate/side-by-side.js';
import { type BootstrapOptions, bootstrapSettings, scoreIntervals } from './evaluate/statistics.js';
import type { EvaluationRequest } from './native/binding.js';
import { addon } from './native/load.js';
import {
  BYTES,
  CALL_OPTIONS,
  checkOptions,
  integer,
  type Kinds,
  listOf,
  oneOf,
  PATH,
  RECORD,
  SWITCH,
  TEXTS,
} from './options.js';
import { call } from './progress.js';
import { type CaseEvaluation, describeScores, meanScores, namesIn, type ScoreGroup, type Scores } from './scores.js';
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

const OPTIONS: Kinds<EvaluateOptions> = {
  ...CALL_OPTIONS,
  within: PATH,
  scores: TEXTS,
  centrelines: SWITCH,
  lungs: PATH,
  annotatedSides: TEXTS,
  ignore: listOf('values from 0 to 255', integer(0, 255)),
  resample: SWITCH,
  refVeins: PATH,
  overlap: oneOf('ignore', 'artery', 'vein'),
};

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
  checkOptions(options, OPTIONS);
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

/** Options of {@link evaluateFolders}; `within`, `lungs` and `refVeins` are folders where `pred` is one. */
export interface EvaluateFoldersOptions extends EvaluateOptions, BootstrapOptions {
  /** Memory that cases scored side by side may take together, bytes. @default half of what is free */
  maxMemory?: number | undefined;
}

/** Cases scored side by side at most: as many as the addon works on at once. */
const LANES = 2;
/** Memory that scoring takes, bytes a voxel: reading both maps, and what surfaces and centrelines take beside them. */
const READ_BYTES = 12;
const SHAPE_BYTES = 12;

const FOLDERS_OPTIONS: Kinds<EvaluateFoldersOptions> = { ...OPTIONS, bootstrap: RECORD, maxMemory: BYTES };

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
  checkOptions(options, FOLDERS_OPTIONS);
  const { bootstrap, maxMemory, ...asked } = options;
  const settings = bootstrapSettings(bootstrap);
  const alone = !areFolders(pred, ref);
  const pairs = pairsOf(pred, ref, options);
  const room = { most: LANES, bytes: maxMemory ?? freemem() / 2 };
  let done = 0;
  const cases = await sideBySide(
    pairs,
    room,
    async (pair) => await needBytes(pair, asked),
    async (pair) => {
      options.signal?.throwIfAborted();
      if (!alone) options.onProgress?.({ stage: 'evaluate', done, total: pairs.length });
      const scored = scoreCase(pair, asked);
      const result = alone ? await scored : await scored.catch((error) => failedCase(pair.name, error));
      done += 1;
      return result;
    },
  );
  const scored = scoredCases({ cases }).map(({ scores }) => scores);
  return {
    pred,
    ref,
    cases,
    mean: meanScores(scored),
    intervals: await scoreIntervals(scored, settings, options),
    bootstrap: settings,
    unpaired: pairs.flatMap(unpaired),
    scores: describeScores(namesIn(scored).scores),
  };
}

/** Every file that {@link evaluateFolders} reads for these paths. */
export function evaluatedFiles(pred: string, ref: string, masks: Masks = {}): string[] {
  const files = pairsOf(pred, ref, masks).flatMap((pair) => [pair.pred, pair.ref, ...Object.values(pair.masks)]);
  return files.filter((file) => typeof file === 'string');
}

function pairsOf(pred: string, ref: string, { within, lungs, refVeins }: Masks): CasePair[] {
  const masks = { within, lungs, refVeins };
  return areFolders(pred, ref) ? casePairs(pred, ref, masks) : [{ name: caseName(pred), pred, ref, masks }];
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

/** What scoring a case takes; nothing where its reference cannot be read, which scoring it tells. */
async function needBytes({ ref }: CasePair, options: EvaluateOptions): Promise<number> {
  if (ref === null) return 0;
  const { signal } = options;
  const header = await call({ signal }, (monitor) => addon().inspect(ref, null, monitor)).catch(() => null);
  options.signal?.throwIfAborted();
  const voxels = header?.shape.reduce((product, size) => product * size, 1) ?? 0;
  const counts = scoresOf(options).every((name) => name === 'overlap');
  return voxels * (counts ? READ_BYTES : READ_BYTES + SHAPE_BYTES);
}

function unpaired({ name, pred, ref }: CasePair): UnpairedFile[] {
  if (pred !== null && ref === null) return [{ name, file: pred, missing: 'reference' }];
  return pred === null && ref !== null ? [{ name, file: ref, missing: 'prediction' }] : [];
}

async function scoreCase({ name, pred, ref, masks }: CasePair, options: EvaluateOptions): Promise<CaseResult> {
  if (pred === null || ref === null) {
    const [there, missing] = pred === null ? [ref, 'prediction'] : [pred, 'reference'];
    throw new IoError('ERR_IO', `"${there}" has no ${missing} of its name.`);
  }
  const { within, lungs, refVeins } = masks;
  for (const [what, file] of Object.entries({ mask: within, 'map of lungs': lungs, 'map of veins': refVeins })) {
    if (file === null) throw new IoError('ERR_IO', `"${ref}" has no ${what} of its name.`);
  }
  const found = { within: within ?? undefined, lungs: lungs ?? undefined, refVeins: refVeins ?? undefined };
  const { onProgress: _, ...asked } = options;
  const scored = await evaluateCase(pred, ref, { ...asked, ...found });
  return { name, pred, ref, ...(found.within !== undefined && { within: found.within }), ...scored };
}
