import type { Command } from 'commander';
import { UsageError } from '../errors.js';
import { refuseOld } from '../files.js';
import { labelNames } from '../labels.js';
import { addon } from '../native/load.js';
import { call } from '../progress.js';
import { tidy } from '../tidy.js';
import { writeVolume } from '../volume.js';
import { interruption } from './exit.js';
import { integer } from './flags.js';
import { printJson, progressPrinter, say, sayWarnings } from './output.js';

interface Flags {
  json?: boolean;
  output?: string;
  image?: string;
  artery: number;
  vein: number;
  dryRun?: boolean;
  overwrite?: boolean;
  index?: number;
  threads?: number;
}

export function addTidy(program: Command): void {
  program
    .command('tidy')
    .description('give each branch of a label map one class, artery or vein, and say what was changed')
    .argument('<labels>', 'a label map with arteries and veins: NIfTI, NRRD or MetaImage')
    .option('-o, --output <file>', 'label map to write: .nii, .nii.gz, .nrrd, .seg.nrrd or .mha')
    .option('--image <file>', 'the scan: its airways tell arteries from veins, and gaps are bridged')
    .option('--artery <value>', 'value of the arteries', integer('--artery', 1), 1)
    .option('--vein <value>', 'value of the veins', integer('--vein', 1), 2)
    .option('--dry-run', 'only say what would be changed')
    .option('--overwrite', 'replace a label map that is there already')
    .option('--index <n>', "which volume of the scan's file with four axes", integer('--index', 0))
    .option('--threads <n>', 'threads to compute with', integer('--threads', 1))
    .action(async (input: string, { json, output, dryRun = false, overwrite = false, ...asked }: Flags) => {
      if (!dryRun && output === undefined) {
        throw new UsageError('No output was named.', { hint: 'Give --output FILE, or --dry-run.' });
      }
      if (!dryRun && output !== undefined) {
        await call({}, (monitor) => addon().checkOutput(output, input, null, monitor));
        if (!overwrite) refuseOld(output);
      }
      const printer = progressPrinter();
      const options = { signal: interruption, onProgress: printer.onProgress };
      const { labels, ...report } = await tidy(input, { ...asked, ...options }).finally(printer.done);
      if (!dryRun && output !== undefined) {
        const names = labelNames([
          { value: asked.artery, name: 'artery' },
          { value: asked.vein, name: 'vein' },
        ]);
        await writeVolume(output, labels, { like: input, labels: names, signal: interruption });
      }
      if (json) return printJson({ output: dryRun ? null : output, ...report });
      const { changes, bridges, dropped, looseBefore, looseAfter, seconds, warnings } = report;
      const voxels = changes.reduce((sum, change) => sum + change.voxels, 0);
      say(`${changes.length} branches of ${voxels} voxels ${dryRun ? 'would get' : 'got'} the other class`);
      say(`${bridges.length} gaps bridged, ${dropped.pieces} specks dropped`);
      say(`${looseBefore.pieces} loose pieces before, ${looseAfter.pieces} after; ${seconds.total.toFixed(1)} s`);
      sayWarnings(warnings);
    });
}
