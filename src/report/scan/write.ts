import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomic } from '../../files.js';
import { type LabelName, labelNames } from '../../labels.js';
import type { SegmentReport } from '../../segment-file.js';
import { withFolder } from '../../spool.js';
import { type MeasuredTree, tree } from '../../tree.js';
import type { CallOptions, Volume } from '../../types.js';
import { writeVolume } from '../../volume.js';
import { preview } from '../preview.js';
import { type Part, partOf, thinnedLabels, thinnedScan } from './crop.js';
import { scanPage } from './page.js';
import { niivue } from './viewer.js';

/** A page may have so many bytes. */
export const MOST_BYTES = 15e6;
/** Around the labels, mm. */
const MARGIN_MM = 12;
/** Voxels that a page holds; fewer where it would grow too large. */
const MOST_VOXELS = 6e6;
/** Names of what can be measured as a tree. */
const TREES = /arter|vein|venous|vessel/i;

/**
 * Writes a page of one scan: it opens offline, in any browser with WebGL 2.
 *
 * @throws IoError, and what reading and measuring throw
 */
export async function writeScanPage(
  path: string,
  inputs: string[],
  { ct, labels }: { ct: Volume; labels: Volume },
  report: SegmentReport,
  options: CallOptions,
): Promise<void> {
  const names = labelNames([...report.targets, ...report.structures]);
  const trees = await measured(labels, report, options);
  const rest = { inputs, report, picture: preview(ct, labels), trees, niivue: await niivue() };
  for (let most = MOST_VOXELS; ; most /= 2) {
    const part = partOf(labels, MARGIN_MM, most);
    const text = scanPage({ ...rest, ...(await packed(part, ct, labels, names, options)) });
    if (Buffer.byteLength(text) <= MOST_BYTES || most < 1) return await writeAtomic(path, text);
  }
}

async function measured(labels: Volume, { targets }: SegmentReport, options: CallOptions): Promise<MeasuredTree[]> {
  const there = targets.filter(({ name, voxels }) => TREES.test(name) && voxels > 0);
  if (there.length === 0) return [];
  const values = Object.fromEntries(there.map(({ name, value }) => [name, value]));
  return (await tree(labels, { values, ...options })).trees;
}

async function packed(part: Part, ct: Volume, labels: Volume, names: LabelName[], { signal }: CallOptions) {
  return await withFolder(async (folder) => {
    const [scanPath, labelPath] = [join(folder, 'scan.nii.gz'), join(folder, 'labels.nii.gz')];
    const scan = thinnedScan(ct, part);
    await writeVolume(scanPath, scan, { signal });
    await writeVolume(labelPath, thinnedLabels(labels, part), { labels: names, signal });
    return { scan: await readFile(scanPath), labels: await readFile(labelPath), spacingMm: scan.spacingMm };
  });
}
