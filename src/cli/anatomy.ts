import type { Command } from 'commander';
import { type AnatomyJob, anatomyToFolder } from '../report/anatomy-folder.js';
import { interruption } from './exit.js';
import { integer } from './flags.js';
import { printJson, progressPrinter, readableBytes, say, sayWarnings } from './output.js';

interface Flags extends Omit<AnatomyJob, 'input'> {
  json?: boolean;
}

export function addAnatomy(program: Command): void {
  program
    .command('anatomy')
    .description('label body, mediastinum, lungs and airways of a chest CT, and draw them')
    .argument('<scan>', 'a chest CT: NIfTI, NRRD or MetaImage in Hounsfield units, or DICOM (folder, zip, file)')
    .requiredOption('-o, --out <dir>', 'folder for anatomy.nii.gz, anatomy.png and anatomy.json')
    .option('--threads <n>', 'threads to compute with', integer('--threads', 1))
    .option('--series <uid|n>', 'which series of DICOM: its UID, or its number in "pulmoav info DIR"')
    .option('--index <n>', 'which volume of a file with four axes', integer('--index', 0))
    .action(async (input: string, { json, ...job }: Flags) => {
      const printer = progressPrinter();
      const options = { signal: interruption, onProgress: printer.onProgress };
      const report = await anatomyToFolder({ input, ...job }, options).finally(printer.done);
      if (json) return printJson(report);
      for (const { name, value, volumeMl } of report.structures) say(`${value} ${name}: ${volumeMl.toFixed(1)} ml`);
      say(`${job.out} in ${report.seconds.total.toFixed(1)} s, at most ${readableBytes(report.memory.peakBytes)}`);
      sayWarnings(report.warnings);
    });
}
