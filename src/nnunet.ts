import { checkPath } from './check.js';
import { UsageError } from './errors.js';
import { replaceFolder } from './files.js';
import { checkReplaceable } from './models/directory.js';
import { FINAL_CHECKPOINT, familyOf } from './models/family.js';
import type { ClassModelInfo } from './native/binding.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, type Kinds, PATH, TEXT, TEXTS } from './options.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

export type { ClassInfo, ClassModelInfo } from './native/binding.js';

/** Which model of nnU-Net's is meant. */
export interface NnunetSource {
  /** The trainer's folder: `TRAINER__PLANS__CONFIGURATION`. */
  directory: string;
  /** Folds whose mean answers, such as `['0', '1']` or `['all']`. @default every numbered one */
  folds?: string[] | undefined;
  /** File name of the checkpoints. @default 'checkpoint_final.pth' */
  checkpoint?: string | undefined;
}

/** What to import. */
export interface NnunetImportOptions extends NnunetSource, CallOptions {
  /** The model directory to write: a new one, an empty one, or a model to replace. */
  out: string;
}

/** An imported model. */
export interface NnunetImport extends ClassModelInfo {
  /** The model directory. */
  output: string;
}

const SOURCE_OPTIONS: Kinds<NnunetSource & CallOptions> = {
  ...CALL_OPTIONS,
  directory: PATH,
  folds: TEXTS,
  checkpoint: TEXT,
};
const IMPORT_OPTIONS: Kinds<NnunetImportOptions> = { ...SOURCE_OPTIONS, out: PATH };

/**
 * Makes a model directory of an nnU-Net v2 model: the networks' weights only, without a pickle. It labels scans as the
 * folder does, bit for bit. The directory appears whole or not at all.
 *
 * @throws ModelError for a folder that cannot be used; UsageError, IoError
 * @example
 * const { output } = await importNnunet({ directory: 'nnUNetTrainer__nnUNetPlans__3d_fullres', out: 'imported' });
 * using segmenter = await Segmenter.load({ model: output });
 */
export async function importNnunet(options: NnunetImportOptions): Promise<NnunetImport> {
  checkOptions(options, IMPORT_OPTIONS);
  const { out } = options;
  checkPath('The model directory', out);
  const source = sourceOf(options);
  checkReplaceable(out);
  return await replaceFolder(out, async (fresh) => {
    const made = await call(options, () => addon().importClassModel(source, fresh));
    options.signal?.throwIfAborted();
    return { output: out, ...made };
  });
}

/**
 * Says what an nnU-Net v2 model, or one that was made of it, is. Of nnU-Net's own folder no weights are read.
 *
 * @throws ModelError for a folder that cannot be used; UsageError
 */
export async function inspectNnunet(options: NnunetSource & CallOptions): Promise<ClassModelInfo> {
  checkOptions(options, SOURCE_OPTIONS);
  const source = sourceOf(options);
  return await call(options, () => addon().inspectClassModel(source));
}

function sourceOf({ directory, folds, checkpoint = FINAL_CHECKPOINT }: NnunetSource) {
  checkPath('The folder', directory);
  const foreign = familyOf(directory) !== 'classes';
  if (!foreign && folds !== undefined) {
    throw new UsageError('folds are chosen of nnU-Net’s own folder; this is a model that was made of one.');
  }
  return { directory, foreign, folds: folds ?? null, checkpoint };
}
