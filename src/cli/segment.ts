import type { Command } from 'commander';
import { type SegmentJob, segmentToFile } from '../segment-file.js';
import { interruption } from './exit.js';
import { bytes, collect, integer } from './flags.js';
import { printJson, progressPrinter, readableBytes, say, sayWarnings } from './output.js';

interface Flags extends Omit<SegmentJob, 'input'> {
  json?: boolean;
}

export function addSegment(program: Command): void {
  program
    .command('segment')
    .description('label the pulmonary arteries and veins of a chest CT')
    .argument('<in>', 'a chest CT in Hounsfield units: NIfTI, NRRD or MetaImage')
    .requiredOption('-o, --output <file>', 'label map to write, .nii or .nii.gz')
    .option('--prompt <text>', 'what to look for; may be given several times', collect)
    .option('--model <name|dir>', 'model to use, or a run; of several folds the mean answers')
    .option('--device <device>', 'auto, cpu or cuda[:N]', 'auto')
    .option('--threads <n>', 'threads to compute with', integer('--threads', 1))
    .option('--max-memory <bytes>', 'most memory to use: 2G, 900M, …', bytes('--max-memory'))
    .option('--index <n>', 'which volume of a file with four axes', integer('--index', 0))
    .option('--probabilities <file>', 'write probabilities too: a 4-D NIfTI [x, y, z, prompt]')
    .option('--keep-lungs', 'write the lungs into the label map too, where it holds no vessel')
    .option('--keep-airways', 'write the airways into the label map too')
    .option('--postprocess', "tidy the labels, which is the plan's own choice otherwise: pulmoav yes, la-caf no")
    .option('--no-postprocess', 'leave the labels as the network saw them')
    .option('--strict', 'refuse a prompt with a side where the scan leaves the sides unclear, instead of warning')
    .action(async (input: string, flags: Flags & { prompt?: string[] }) => {
      const { json, prompt, ...rest } = flags;
      const printer = progressPrinter();
      const options = { signal: interruption, onProgress: printer.onProgress };
      const report = await segmentToFile({ input, prompts: prompt, ...rest }, options).finally(printer.done);
      if (json) return printJson(report);
      for (const { name, value, volumeMl } of [...report.targets, ...report.structures])
        say(`${value} ${name}: ${volumeMl.toFixed(1)} ml`);
      if (report.folds > 1) say(`mean of ${report.folds} folds`);
      say(
        `${report.output} in ${report.seconds.total.toFixed(1)} s, at most ${readableBytes(report.memory.peakBytes)}`,
      );
      sayWarnings(report.warnings);
    });
}
