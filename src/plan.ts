import { existsSync } from 'node:fs';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { checkPath } from './check.js';
import { type CheckedCase, checkCase, type SurveyedCase, surveyDataset } from './dataset.js';
import { FormatError, IoError, isPulmoavError, UsageError } from './errors.js';
import { refuseSamePlace, writeAtomic } from './files.js';
import { BYTES, CALL_OPTIONS, checkOptions, integer, type Kinds, PATH } from './options.js';
import { type Choice, choose } from './plan/choose.js';
import { EDGES_MM, type Fingerprint, fingerprint, type MeasuredCase } from './plan/fingerprint.js';
import { makeFolds } from './plan/splits.js';
import type { CallOptions } from './types.js';

export type { PlanReason } from './plan/choose.js';
export type { Fingerprint } from './plan/fingerprint.js';

/** Options of {@link plan}. */
export interface PlanOptions extends CallOptions {
  /** File to write the training config to. */
  out?: string | undefined;
  /** Memory that training may take. @default half of the machine's */
  maxMemoryBytes?: number | undefined;
  /** Writes `splits_final.json` with so many folds into the data set, where there is none. */
  folds?: number | undefined;
}

/** A training config made for a data set. */
export interface TrainingPlan extends Choice {
  /** What was measured. */
  fingerprint: Fingerprint;
  /** Memory that training may take. */
  budgetBytes: number;
  /** Whether `splits_final.json` was written, was there, or was not asked for. */
  splits: 'written' | 'kept' | null;
}

/** So many labelled cases are enough to know the best Dice. */
const CEILING_CASES = 6;

const OPTIONS: Kinds<PlanOptions> = { ...CALL_OPTIONS, out: PATH, maxMemoryBytes: BYTES, folds: integer(2, 1000) };

/**
 * Measures a data set and makes a training config for it: what differs from the recipe `tiny`, with the reasons.
 *
 * @param dataset folder with imagesTr, labelsTr and dataset.json
 * @throws IoError, FormatError where the data set cannot be read or has no labelled case; MemoryError; UsageError
 * @example
 * const { config, reasons } = await plan('data', { maxMemoryBytes: 8 * 2 ** 30 });
 * await train({ dataset: 'data', out: 'run', config });
 */
export async function plan(dataset: string, options: PlanOptions = {}): Promise<TrainingPlan> {
  checkOptions(options, OPTIONS);
  checkPath('dataset', dataset);
  const { out, folds, maxMemoryBytes: budgetBytes = Math.floor(os.totalmem() / 2) } = options;
  if (out !== undefined) checkPlace(out, dataset);
  const survey = await surveyDataset(dataset, options);
  const measured = await measure(dataset, survey.cases, options);
  const labelled = measured.filter(({ case: one, facts }) => one.labelled && facts).length;
  if (labelled === 0) {
    throw new FormatError('ERR_FORMAT', `"${dataset}" has no labelled case that can be read.`, {
      hint: `"pulmoav verify" says what is wrong with each.`,
    });
  }
  const found = fingerprint(measured);
  const chosen = choose(found, budgetBytes);
  const splits = folds === undefined ? null : await split(dataset, measured, folds);
  if (out !== undefined) await writeAtomic(out, `${JSON.stringify(chosen.config, null, 2)}\n`);
  return { ...chosen, fingerprint: found, budgetBytes, splits };
}

/** Refuses a wrong place for the config before anything is measured. */
function checkPlace(out: string, dataset: string): void {
  refuseSamePlace(out, [join(dataset, 'dataset.json'), join(dataset, 'splits_final.json')]);
  if (!existsSync(dirname(out))) {
    throw new IoError('ERR_IO', `"${out}" cannot be written: there is no folder "${dirname(out)}".`);
  }
}

async function measure(dataset: string, cases: SurveyedCase[], options: CallOptions): Promise<MeasuredCase[]> {
  const measured: MeasuredCase[] = [];
  let ceilings = 0;
  for (const [done, one] of cases.entries()) {
    options.onProgress?.({ stage: 'measure', done, total: cases.length });
    const ceilingsMm = one.labelled && ceilings < CEILING_CASES ? EDGES_MM : [];
    const { facts } = one.whole ? await look(dataset, one.name, ceilingsMm, options.signal) : { facts: null };
    if (facts && ceilingsMm.length > 0) ceilings += 1;
    measured.push({ case: one, facts });
  }
  options.onProgress?.({ stage: 'measure', done: cases.length, total: cases.length });
  return measured;
}

/** A case that cannot be read takes no part. */
async function look(
  dataset: string,
  name: string,
  ceilingsMm: number[],
  signal: AbortSignal | undefined,
): Promise<Pick<CheckedCase, 'facts'>> {
  try {
    return await checkCase(dataset, name, { anatomy: false, ceilingsMm }, signal);
  } catch (error) {
    if (!isPulmoavError(error) || error.code === 'ERR_INTERNAL') throw error;
    return { facts: null };
  }
}

async function split(dataset: string, measured: MeasuredCase[], folds: number): Promise<'written' | 'kept'> {
  const file = join(dataset, 'splits_final.json');
  if (existsSync(file)) return 'kept';
  const made = makeFolds(measured, folds);
  if (made.some(({ val }) => val.length === 0)) {
    throw new UsageError(`There are too few labelled cases for ${folds} folds.`, { hint: 'Ask for fewer folds.' });
  }
  await writeAtomic(file, `${JSON.stringify(made, null, 2)}\n`);
  return 'written';
}
