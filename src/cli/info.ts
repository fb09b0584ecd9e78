import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { isPulmoavError } from '../errors.js';
import { type FileInfo, info, listSeries, type SeriesInfo } from '../inspect.js';
import { looksLikeModel, verifyModel } from '../models.js';
import { errorJson, interruption } from './exit.js';
import { printJson, printLine, printModel, sayWarnings } from './output.js';

interface Flags {
  json?: boolean;
  series?: string;
}

export function addInfo(program: Command): void {
  program
    .command('info')
    .description('say what a file is: shape, spacing, orientation; which series DICOM has; or what a model is')
    .argument('<path>', 'a NIfTI, NRRD or MetaImage file, DICOM (folder, zip, file), or the folder of a model')
    .option('--series <uid|n>', 'which series of DICOM: its UID, or its number in the list')
    .action(async (path: string, flags: Flags) => {
      const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
      if (isFolder && looksLikeModel(path)) return await tellModel(path, flags.json);
      const series = await listSeries(path, { signal: interruption });
      if (series.length > 0) return await tellDicom(path, series, flags);
      const found = await info(path, { series: flags.series, signal: interruption });
      if (flags.json) return printJson(found);
      tellFile(path, found);
    });
}

function tellFile(path: string, found: FileInfo): void {
  printLine(`${path}: ${found.shape.join(' × ')} voxels [z, y, x], ${found.dataType}`);
  printLine(`spacing ${found.spacingMm.map((mm) => mm.toFixed(3)).join(' × ')} mm, axes ${found.axcodes}`);
  const volumes = found.extra.reduce((product, length) => product * length, 1);
  if (volumes > 1) printLine(`${volumes} such volumes, one after the other; --index 0 to ${volumes - 1} says which`);
  sayWarnings(found.warnings);
}

/** Lists the series, and tells what reading the one that is meant would give; that it cannot be read is no failure. */
async function tellDicom(path: string, series: SeriesInfo[], flags: Flags): Promise<void> {
  const found = await info(path, { series: flags.series, signal: interruption }).catch((error: unknown) => {
    if (flags.series !== undefined || !isPulmoavError(error) || error.code === 'ERR_INTERNAL') throw error;
    return error;
  });
  const problem = isPulmoavError(found) ? errorJson(found) : null;
  if (flags.json) return printJson({ ...(isPulmoavError(found) ? { format: 'dicom' } : found), series, problem });
  for (const one of series) printLine(seriesLine(one));
  if (isPulmoavError(found)) return printLine(`not clear what to read: ${found.message} [${found.code}]`);
  tellFile(path, found);
}

function seriesLine({ number, seriesNumber, description, slices, rows, columns, ...one }: SeriesInfo): string {
  const mm = one.spacingMm.map((length) => length.toFixed(3)).join(' × ');
  const named = [
    description || 'without name',
    seriesNumber === null ? '' : `series ${seriesNumber}`,
    one.bodyPart,
    one.kernel,
    one.axial ? '' : 'not axial',
  ].filter((word) => word !== '');
  const mark = one.chosen ? ' (read by default)' : '';
  return `${number}: ${named.join(', ')}: ${slices} × ${rows} × ${columns} of ${mm} mm${mark}\n   ${one.uid}`;
}

async function tellModel(folder: string, json: boolean | undefined): Promise<void> {
  const model = await verifyModel(folder, { signal: interruption });
  if (json) return printJson(model);
  if (model.kind === 'classes') return printModel(model);
  if (model.kind === 'clip') return printLine(`${model.name}: a CLIP text model`);
  printLine(
    `${model.name}: ${model.preset}, ${model.parameters} parameters, voxels of ${model.spacingMm.join(' × ')} mm`,
  );
  printLine(`knows: ${model.targets.map((target) => target.name).join(', ')}`);
}
