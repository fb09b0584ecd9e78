import { checkInteger, checkPath, checkVolume, defaultThreads, MAX_THREADS } from './check.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions, MeasuredStructure, Volume, Warning } from './types.js';
import { type Geometry, geometryJson, volumeOf } from './volume.js';

/** Options of {@link anatomy}. */
export interface AnatomyOptions extends CallOptions {
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Threads to compute with; results do not depend on it. @default all */
  threads?: number | undefined;
}

/** The anatomy of one scan. */
export interface Anatomy {
  /**
   * Label map on the scan's own grid: 0 outside the body, 1 body, 2 mediastinum, 3 left lung, 4 right lung, 5 airways.
   * Left and right are the patient's.
   */
  labels: Volume<Uint8Array>;
  /** Every structure in the order of the values, found or not. */
  structures: MeasuredStructure[];
  /** Where the windpipe divides, RAS mm `[x, y, z]`; `null` where it was not found. */
  carinaMm: [x: number, y: number, z: number] | null;
  /** Wall time by stage. */
  seconds: { load: number; find: number; draw: number; total: number };
  /** The process's peak memory. */
  memory: { peakBytes: number };
  /** What a user should know. */
  warnings: Warning[];
}

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
  const request = requestJson(options);
  const { value, arrays } = await call<Omit<Anatomy, 'labels'> & { geometry: Geometry }>(options, (monitor) => {
    if (typeof scan === 'string') {
      checkPath('The scan', scan);
      return addon().anatomyFile(scan, request, monitor);
    }
    checkVolume('The scan', scan);
    return addon().anatomyVolume(geometryJson(scan), scan.data, request, monitor);
  });
  const { geometry, ...rest } = value;
  return { labels: volumeOf(arrays[0] as Uint8Array, geometry), ...rest };
}

function requestJson({ index, threads = defaultThreads() }: AnatomyOptions): string {
  if (index !== undefined) checkInteger('index', index, 0, 0xffff_ffff);
  checkInteger('threads', threads, 1, MAX_THREADS);
  return JSON.stringify({ index: index ?? null, threads });
}
