import { checkPath, checkVolume, defaultThreads } from './check.js';
import type { Anatomy, AnatomyRequest } from './native/binding.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, INDEX, type Kinds, SERIES, seriesOf, THREADS } from './options.js';
import { call } from './progress.js';
import type { CallOptions, SeriesName, Volume } from './types.js';

export type { Anatomy, AnatomySeconds, LabelMap, PeakMemory } from './native/binding.js';

/** Options of {@link anatomy}. */
export interface AnatomyOptions extends CallOptions {
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
  series?: SeriesName | undefined;
  /** Threads to compute with; results do not depend on it. @default all */
  threads?: number | undefined;
}

const OPTIONS: Kinds<AnatomyOptions> = { ...CALL_OPTIONS, index: INDEX, series: SERIES, threads: THREADS };

/**
 * Finds body, mediastinum, lungs and airways in a chest CT, given by path or as a volume in Hounsfield units. No model
 * is needed.
 *
 * @throws FormatError, GeometryError, IoError, MemoryError, UsageError
 * @example
 * const { labels, structures } = await anatomy('chest.nii.gz');
 * for (const { name, volumeMl } of structures) console.log(name, volumeMl);
 */
export async function anatomy(scan: string | Volume, options: AnatomyOptions = {}): Promise<Anatomy> {
  checkOptions(options, OPTIONS);
  const request = requestOf(options);
  return await call(options, async (monitor) => {
    if (typeof scan === 'string') {
      checkPath('The scan', scan);
      return await addon().anatomyFile(scan, request, monitor);
    }
    checkVolume('The scan', scan);
    return await addon().anatomyVolume(scan, request, monitor);
  });
}

function requestOf({ index, series, threads = defaultThreads() }: AnatomyOptions): AnatomyRequest {
  return { index: index ?? null, series: seriesOf({ series }), threads };
}
