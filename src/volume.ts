import { checkPath, checkVolume } from './check.js';
import { type LabelName, segmentsOf } from './labels.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, INDEX, type Kinds, listOf, PATH, RECORD, SERIES, seriesOf } from './options.js';
import { call } from './progress.js';
import type { CallOptions, SeriesName, Volume } from './types.js';

/** Options of {@link readVolume}. */
export interface ReadOptions extends CallOptions {
  /** Which volume of a file with four or more axes, counted from 0 in file order; such a file needs it. */
  index?: number | undefined;
  /** Which series of DICOM, by its UID or its number in the list of {@link listSeries}. @default the rule's choice */
  series?: SeriesName | undefined;
}

/** Options of {@link writeVolume}. */
export interface WriteOptions extends CallOptions {
  /**
   * A NIfTI file whose header a NIfTI keeps byte for byte, but for what must change; or the DICOM that a DICOM
   * segmentation (`.dcm`) refers to, which needs it.
   */
  like?: string | undefined;
  /** Which series of that DICOM, by its UID or its number. @default the rule's choice */
  series?: SeriesName | undefined;
  /**
   * What the values of a label map (unsigned bytes) mean: `.nii`, `.seg.nrrd` and `.dcm` hold it. The file is read back before it gets its
   * name.
   */
  labels?: LabelName[] | undefined;
}

const READ_OPTIONS: Kinds<ReadOptions> = { ...CALL_OPTIONS, index: INDEX, series: SERIES };

/**
 * Reads a NIfTI-1 or -2 (`.nii`, `.nii.gz`, `.hdr` + `.img`), NRRD or MetaImage file, or a CT from DICOM: a folder, a zip
 * archive or a file.
 *
 * @throws FormatError, GeometryError, IoError, MemoryError
 * @example
 * const ct = await readVolume('chest.nii.gz');
 * console.log(ct.shape, ct.spacingMm);
 */
export async function readVolume(path: string, options: ReadOptions = {}): Promise<Volume> {
  checkOptions(options, READ_OPTIONS);
  checkPath('The path', path);
  return await call(options, (monitor) => addon().readVolume(path, options.index ?? null, seriesOf(options), monitor));
}

const WRITE_OPTIONS: Kinds<WriteOptions> = {
  ...CALL_OPTIONS,
  like: PATH,
  series: SERIES,
  labels: listOf('named values', RECORD),
};

/**
 * Writes a volume with its own data type, by the ending: NIfTI (`.nii`, `.nii.gz`), NRRD (`.nrrd`; `.seg.nrrd`, a
 * segmentation of 3D Slicer), MetaImage (`.mha`) or, of labels, a DICOM segmentation (`.dcm`); an existing file is
 * replaced in one step. The array is copied before the call returns, so it may change or be transferred at once.
 *
 * @throws UsageError, GeometryError, IoError
 */
export async function writeVolume(path: string, volume: Volume, options: WriteOptions = {}): Promise<void> {
  checkOptions(options, WRITE_OPTIONS);
  checkPath('The path', path);
  checkVolume('The volume', volume);
  const labels = options.labels ? segmentsOf(options.labels) : null;
  const likeness = { like: options.like ?? null, series: seriesOf(options), labels };
  await call(options, (monitor) => addon().writeVolume(path, volume, likeness, monitor));
}
