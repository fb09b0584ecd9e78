import { join } from 'node:path';
import { type Anatomy, anatomy } from '../anatomy.js';
import { checkPath } from '../check.js';
import { inFolder, writeAtomic } from '../files.js';
import { info } from '../inspect.js';
import { addon } from '../native/load.js';
import { CALL_OPTIONS, checkOptions, INDEX, type Kinds, PATH, SERIES, THREADS } from '../options.js';
import { call } from '../progress.js';
import type { CallOptions, MeasuredStructure, SeriesName, Warning } from '../types.js';
import { readVolume, writeVolume } from '../volume.js';
import { drawAnatomy } from './anatomy-picture.js';

/** One scan whose anatomy is written to a folder. */
export interface AnatomyJob {
  /** The scan. */
  input: string;
  /** The folder, made where it is missing; other files in it are left alone. */
  out: string;
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
  series?: SeriesName | undefined;
  /** Threads to compute with. @default all */
  threads?: number | undefined;
}

/** What became of an {@link AnatomyJob}; `anatomy.json` holds the same. */
export interface AnatomyReport {
  /** The label map, the picture and the report that were written. */
  files: { labels: string; picture: string; report: string };
  structures: MeasuredStructure[];
  carinaMm: Anatomy['carinaMm'];
  seconds: Anatomy['seconds'] & { write: number };
  memory: Anatomy['memory'];
  warnings: Warning[];
}

const JOB: Kinds<AnatomyJob> = { input: PATH, out: PATH, index: INDEX, series: SERIES, threads: THREADS };

/**
 * Writes a scan's anatomy to a folder: `anatomy.nii.gz` on the scan's own grid, `anatomy.png`, `anatomy.json`. Whatever
 * is wrong with the folder is found before the work starts; each file appears whole or not at all.
 *
 * @throws every error of {@link anatomy}, and IoError
 */
export async function anatomyToFolder(job: AnatomyJob, options: CallOptions = {}): Promise<AnatomyReport> {
  checkOptions(job, JOB);
  checkOptions(options, CALL_OPTIONS);
  const started = performance.now();
  const { input, out, index, series, threads } = job;
  checkPath('The folder', out);
  const files = {
    labels: join(out, 'anatomy.nii.gz'),
    picture: join(out, 'anatomy.png'),
    report: join(out, 'anatomy.json'),
  };
  await info(input, { series, signal: options.signal });
  return inFolder(out, async () => {
    await call(options, (monitor) => addon().checkOutput(files.labels, input, null, monitor));
    const { labels, ...found } = await anatomy(input, { index, series, threads, ...options });
    const writing = performance.now();
    const picture = drawAnatomy(await readVolume(input, { index, series, signal: options.signal }), labels);
    await writeVolume(files.labels, labels, { like: input, signal: options.signal });
    await writeAtomic(files.picture, picture);
    const now = performance.now();
    const seconds = { ...found.seconds, write: (now - writing) / 1000, total: (now - started) / 1000 };
    const report = { files, ...found, seconds };
    await writeAtomic(files.report, `${JSON.stringify({ schemaVersion: 1, ...report }, null, 2)}\n`);
    return report;
  });
}
