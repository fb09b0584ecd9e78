import { checkPath, defaultThreads } from './check.js';
import { UsageError } from './errors.js';
import type { Tidied } from './native/binding.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, INDEX, type Kinds, LABEL, PATH, THREADS } from './options.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

export type { Tidied, TidyBridge, TidyChange, TidyPieces, TidySeconds } from './native/binding.js';

/** Options of {@link tidy}. */
export interface TidyOptions extends CallOptions {
  /** Value of the arteries. @default 1 */
  artery?: number | undefined;
  /** Value of the veins. @default 2 */
  vein?: number | undefined;
  /** The scan, as a path: with it the airways tell arteries from veins, and gaps are bridged. */
  image?: string | undefined;
  /** Which volume of the scan's file with four or more axes. */
  index?: number | undefined;
  /** Threads to compute with; results do not depend on it. @default all */
  threads?: number | undefined;
}

const OPTIONS: Kinds<TidyOptions> = {
  ...CALL_OPTIONS,
  artery: LABEL,
  vein: LABEL,
  image: PATH,
  index: INDEX,
  threads: THREADS,
};

/**
 * Gives each branch of a label map one class: what lies on a branch of the other class follows it, gaps are bridged and
 * loose specks go. Nothing is written; every change is told.
 *
 * @throws FormatError, GeometryError, IoError, UsageError
 * @example
 * const { labels, changes, looseBefore, looseAfter } = await tidy('labels.nii.gz', { image: 'chest.nii.gz' });
 */
export async function tidy(path: string, options: TidyOptions = {}): Promise<Tidied> {
  checkOptions(options, OPTIONS);
  const { artery = 1, vein = 2, image, index, threads = defaultThreads() } = options;
  checkPath('The label map', path);
  if (artery === vein) throw new UsageError(`artery and vein are both ${artery}; expected two values.`);
  const request = { artery, vein, image: image ?? null, index: index ?? null, threads };
  return await call(options, (monitor) => addon().tidyFile(path, request, monitor));
}
