import { checkPath, defaultThreads } from './check.js';
import { UsageError } from './errors.js';
import type { Checked } from './native/binding.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, INDEX, type Kinds, LABEL, PATH, SERIES, seriesOf, THREADS } from './options.js';
import { call } from './progress.js';
import type { CallOptions, SeriesName } from './types.js';

export type { Checked, CheckFigure, CheckPlace, CheckSeconds } from './native/binding.js';

/** Options of {@link checkLabels}. */
export interface CheckOptions extends CallOptions {
  /** The scan, as a path: a file or a folder of DICOM. */
  image: string;
  /** Value of the arteries, with `vein`. @default the values of our plans, with sides */
  artery?: number | undefined;
  /** Value of the veins, with `artery`. */
  vein?: number | undefined;
  /** Which volume of the scan's file with four or more axes. */
  index?: number | undefined;
  /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
  series?: SeriesName | undefined;
  /** Threads to compute with; results do not depend on it. @default all */
  threads?: number | undefined;
}

/** Values of our plans: arteries with the veins of the same side. */
const PAIRS = [
  [1, 2],
  [3, 5],
  [4, 6],
];
/** Values with a side: 1 the patient's left, 2 the right. */
const SIDES = [
  [3, 1],
  [4, 2],
  [5, 1],
  [6, 2],
  [8, 1],
  [9, 2],
];

const OPTIONS: Kinds<CheckOptions> = {
  ...CALL_OPTIONS,
  image: PATH,
  artery: LABEL,
  vein: LABEL,
  index: INDEX,
  series: SERIES,
  threads: THREADS,
};

/**
 * Checks a label map of arteries and veins without a reference: figures that follow the share of swapped voxels, and
 * plain plausibility, each with the range that is plausible, a traffic light and places to look at.
 *
 * @throws FormatError, GeometryError, IoError, UsageError
 * @example
 * const { light, figures } = await checkLabels('labels.nii.gz', { image: 'chest.nii.gz' });
 * for (const { title, value, light } of figures) console.log(title, value, light);
 */
export async function checkLabels(path: string, options: CheckOptions): Promise<Checked> {
  if (typeof options !== 'object' || options === null) {
    throw new UsageError('No scan was given: a label map is checked beside its scan, { image: PATH }.');
  }
  checkOptions(options, OPTIONS);
  const { image, artery, vein, index, threads = defaultThreads() } = options;
  checkPath('The label map', path);
  checkPath('The scan', image);
  const request = { image, index: index ?? null, series: seriesOf(options), threads, ...valuesOf(artery, vein) };
  return await call(options, (monitor) => addon().checkFile(path, request, monitor));
}

function valuesOf(artery?: number, vein?: number): { pairs: number[][]; sides: number[][] } {
  if (artery === undefined && vein === undefined) return { pairs: PAIRS, sides: SIDES };
  if (artery === undefined || vein === undefined) {
    throw new UsageError('artery and vein go together: give both values, or none for those of our plans.');
  }
  if (artery === vein) throw new UsageError(`artery and vein are both ${artery}; expected two values.`);
  return { pairs: [[artery, vein]], sides: [] };
}
