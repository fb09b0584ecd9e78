import { UsageError } from '../errors.js';
import { refuseMissingFolder, refuseSamePlace, writeAtomic } from '../files.js';
import { itkSnapTable, labelNames, slicerTable } from '../labels.js';
import { recordPath } from '../record.js';
import {
  foretellJob,
  inputsOf,
  type SegmentForecast,
  type SegmentJob,
  type SegmentReport,
  segmentToFile,
} from '../segment-file.js';
import type { CallOptions, Volume } from '../types.js';
import { readVolume } from '../volume.js';
import { preview } from './preview.js';
import { writeScanPage } from './scan/write.js';

/** One scan to label, with what people look at beside the label map. */
export interface ReportedJob extends SegmentJob {
  /** One page that opens offline, `.html`: slices and 3-D, volumes, trees, warnings. */
  report?: string | undefined;
  /** A picture of scan and labels, `.png`. */
  preview?: string | undefined;
  /** Names and colours of the labels, for ITK-SNAP (`.txt`) or 3D Slicer (`.ctbl`). */
  colours?: string | undefined;
  /** A table of what was found, a row a target or structure: `.csv` or `.json`. */
  stats?: string | undefined;
}

const COLUMNS = ['name', 'value', 'voxels', 'volumeMl'] as const;

/**
 * Labels a scan from file to file and writes the picture and the table that were asked for.
 *
 * @throws every error of this package
 */
export async function segmentWithReport(job: ReportedJob, options: CallOptions = {}): Promise<SegmentReport> {
  await checkPlaces(job);
  const { report: page, preview: picture, stats, colours, ...rest } = job;
  const report = await segmentToFile(rest, options);
  if (colours !== undefined) await writeAtomic(colours, colourTable(colours, report));
  if (stats !== undefined) await writeAtomic(stats, statistics(stats, report));
  if (picture === undefined && page === undefined) return report;
  const volumes = await read(job, options);
  if (picture !== undefined) await writeAtomic(picture, preview(volumes.ct, volumes.labels));
  if (page !== undefined) await writeScanPage(page, inputsOf(job), volumes, report, options);
  return report;
}

/**
 * Checks a job as {@link segmentWithReport} does, and foretells what it will take; nothing is written.
 *
 * @throws every error of this package
 */
export async function foretellWithReport(job: ReportedJob, options: CallOptions = {}): Promise<SegmentForecast> {
  await checkPlaces(job);
  return await foretellJob(job, options);
}

async function checkPlaces(job: ReportedJob): Promise<void> {
  const { report, preview: picture, stats, colours, output } = job;
  if (report !== undefined && !/\.html?$/i.test(report)) {
    throw new UsageError(`The report is a page, but "${report}" ends in neither .html nor .htm.`);
  }
  if (picture !== undefined && !/\.png$/i.test(picture)) {
    throw new UsageError(`The preview is a PNG picture, but "${picture}" does not end in .png.`);
  }
  if (stats !== undefined && !/\.(csv|json)$/i.test(stats)) {
    throw new UsageError(`The statistics are written as .csv or .json, but "${stats}" ends in neither.`);
  }
  if (colours !== undefined && !/\.(txt|ctbl)$/i.test(colours)) {
    throw new UsageError(
      `Colours are written as .txt (ITK-SNAP) or .ctbl (3D Slicer), but "${colours}" ends in neither.`,
    );
  }
  const { probabilities, record } = job;
  const taken = [...inputsOf(job), output, ...(record ? [recordPath(output)] : [])];
  for (const place of [probabilities, report, picture, stats, colours]) {
    if (place === undefined) continue;
    refuseSamePlace(place, taken);
    await refuseMissingFolder(place);
    taken.push(place);
  }
}

function colourTable(path: string, { targets, structures }: SegmentReport): string {
  const names = labelNames([...targets, ...structures]);
  return /\.ctbl$/i.test(path) ? slicerTable(names) : itkSnapTable(names);
}

function statistics(path: string, { targets, structures }: SegmentReport): string {
  const rows = [...targets, ...structures].map((row) => COLUMNS.map((column) => row[column]));
  if (/\.csv$/i.test(path)) return [COLUMNS, ...rows].map((row) => `${row.join(',')}\n`).join('');
  const objects = rows.map((row) => Object.fromEntries(COLUMNS.map((column, index) => [column, row[index]])));
  return `${JSON.stringify({ schemaVersion: 1, rows: objects }, null, 2)}\n`;
}

async function read(job: ReportedJob, { signal }: CallOptions): Promise<{ ct: Volume; labels: Volume }> {
  const [scan = ''] = inputsOf(job);
  const [ct, labels] = await Promise.all([
    readVolume(scan, { index: job.index, series: job.series, signal }),
    readVolume(job.output, { signal }),
  ]);
  return { ct, labels };
}
