import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkPath } from '../check.js';
import { FormatError, UsageError } from '../errors.js';
import { readJson } from '../files.js';
import { foldFolder, modelsOfRun } from '../models/run.js';
import {
  BYTES,
  CALL_OPTIONS,
  CALLBACK,
  checkOptions,
  FOLD,
  type Kinds,
  PATH,
  POSITIVE,
  RECORD,
  SWITCH,
  TEXT,
  THREADS,
} from '../options.js';
import { meanScores, type Scores } from '../scores.js';
import { EventLog, isWhole } from './events.js';
import { modelOf, type TrainOptions, type TrainResult, trainFold } from './loop.js';
import { configOf, openRun } from './run.js';

/** Folds of a data set that names none in `splits_final.json`. */
const FOLDS = 5;

const OPTIONS: Kinds<TrainOptions> = {
  ...CALL_OPTIONS,
  dataset: PATH,
  out: PATH,
  fold: FOLD,
  config: RECORD,
  resume: SWITCH,
  maxSeconds: POSITIVE,
  device: TEXT,
  precision: TEXT,
  threads: THREADS,
  ranks: RECORD,
  maxMemoryBytes: BYTES,
  onEvent: CALLBACK,
};

/**
 * Trains a network, or one for each fold of the data set, resumably: killed at any moment it goes on from its last
 * checkpoint to the same weights.
 *
 * @throws ConfigError, FormatError, IoError, ModelError; `signal.reason` when cancelled, after a checkpoint
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  checkOptions(options, OPTIONS);
  const { fold, ...rest } = options;
  checkPath('dataset', options.dataset);
  checkPath('out', options.out);
  if (fold === 'all') return trainFolds(rest);
  const { out } = options;
  if (existsSync(join(foldFolder(out, 0), 'run.json'))) {
    throw new UsageError(`"${out}" holds a run of all folds.`, {
      hint: 'Go on with --fold all, or name another folder.',
    });
  }
  return trainFold({ ...rest, fold });
}

async function trainFolds(options: Omit<TrainOptions, 'fold'>): Promise<TrainResult> {
  const { out, dataset, resume = false, maxSeconds = Number.POSITIVE_INFINITY } = options;
  const started = performance.now();
  const folders = Array.from({ length: await foldCount(dataset) }, (_, fold) => foldFolder(out, fold));
  const begun = [out, ...(resume ? [] : folders)].find((folder) => existsSync(join(folder, 'run.json')));
  if (begun !== undefined) {
    const hint =
      begun === out ? 'Choose another folder for all folds.' : 'Go on with --resume, or choose another folder.';
    throw new UsageError(`"${begun}" already holds a run.`, { hint });
  }
  // Folds that were not begun before the run was stopped go on with the config of the first.
  const config = options.config ?? (await configOf(folders[0] as string));
  const results: TrainResult[] = [];
  for (const [fold, folder] of folders.entries()) {
    const left = maxSeconds - (performance.now() - started) / 1000;
    const setting = { ...options, config, fold, out: folder, resume };
    if (!Number.isFinite(left)) delete setting.maxSeconds;
    else setting.maxSeconds = Math.max(left, Number.MIN_VALUE);
    const result = (await finished(setting)) ?? (await trainFold(setting, out));
    results.push(result);
    if (!isWhole(result.reason)) break;
  }
  const validations = results.map(({ validation }) => validation).filter((scores): scores is Scores => scores !== null);
  return {
    reason: results.at(-1)?.reason ?? 'time',
    step: results.reduce((sum, { step }) => sum + step, 0),
    validation: validations.length > 0 ? meanScores(validations) : null,
    best: modelsOfRun(out).length > 0 ? out : null,
    folds: results,
  };
}

/** What a fold came to that was trained to its end before; `undefined` for others. */
async function finished({ out, config, fold }: TrainOptions & { fold: number }): Promise<TrainResult | undefined> {
  const log = new EventLog(out);
  const last = log.read().at(-1);
  if (last?.type !== 'end' || !isWhole(last.reason)) return undefined;
  await openRun(out, config, { resume: true, fold });
  return { reason: last.reason, step: last.step, validation: log.lastValidation(), best: modelOf(out) };
}

async function foldCount(dataset: string): Promise<number> {
  const file = join(dataset, 'splits_final.json');
  if (!existsSync(file)) return FOLDS;
  const folds = await readJson(file);
  if (Array.isArray(folds) && folds.length > 0) return folds.length;
  throw new FormatError('ERR_FORMAT', `"${file}" lists no folds; expected [{ "train": [...], "val": [...] }, ...].`);
}
