import type { Command } from 'commander';
import { type CheckFigure, type CheckOptions, checkLabels } from '../check-labels.js';
import { interruption } from './exit.js';
import { integer } from './flags.js';
import { printJson, printLine, progressPrinter, sayWarnings } from './output.js';

interface Flags extends Omit<CheckOptions, 'signal' | 'onProgress'> {
  json?: boolean;
}

/** Places that are said of a figure; all are in the JSON. */
const SAID = 3;

export function addCheck(program: Command): void {
  program
    .command('check')
    .description('check a label map of arteries and veins without a reference')
    .argument('<labels>', 'a label map with arteries and veins: NIfTI, NRRD or MetaImage')
    .requiredOption('--image <file>', 'the scan that was labelled, on the same grid')
    .option('--artery <value>', "value of the arteries (those of our plans' values)", integer('--artery', 1))
    .option('--vein <value>', 'value of the veins', integer('--vein', 1))
    .option('--series <uid|n>', 'which series of DICOM: its UID, or its number in "pulmoav info DIR"')
    .option('--index <n>', "which volume of the scan's file with four axes", integer('--index', 0))
    .option('--threads <n>', 'threads to compute with', integer('--threads', 1))
    .action(async (input: string, { json, ...options }: Flags) => {
      const printer = progressPrinter();
      const asked = { ...options, signal: interruption, onProgress: printer.onProgress };
      const checked = await checkLabels(input, asked).finally(printer.done);
      if (json) return printJson(checked);
      const of = (kind: string) => checked.figures.filter((figure) => figure.kind === kind);
      printLine('follow the share of swapped voxels:');
      of('followsErrors').forEach(sayFigure);
      printLine('plain plausibility:');
      of('plausibility').forEach(sayFigure);
      printLine(`${checked.light}, in ${checked.seconds.total.toFixed(1)} s`);
      sayWarnings(checked.warnings);
    });
}

function sayFigure({ title, value, unit, light, plausible, places, placesUnit }: CheckFigure): void {
  if (value === null) {
    printLine(`  –       ${title}: not defined here`);
    return;
  }
  const [low, high] = plausible;
  const range = `plausible ${low} to ${high}`;
  printLine(`  ${(light ?? '').padEnd(7)} ${title}: ${value.toFixed(3)}${unit && ` ${unit}`} (${range})`);
  if (light === 'green') return;
  for (const { atMm, voxel, size } of places.slice(0, SAID)) {
    const mm = atMm.map((at) => at.toFixed(1)).join(', ');
    printLine(`          ${size.toFixed(0)} ${placesUnit} at ${mm} mm, voxel [${voxel.join(', ')}]`);
  }
}
