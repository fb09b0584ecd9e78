import type { Command } from 'commander';
import { type ReportedJob, segmentWithReport } from '../report/segmentation.js';
import type { Preset } from '../segment.js';
import { interruption } from './exit.js';
import { bytes, collect, integer, list, share } from './flags.js';
import { printJson, progressPrinter, readableBytes, say, sayWarnings } from './output.js';

interface Flags extends Omit<ReportedJob, 'input' | 'prompts'> {
  json?: boolean;
  prompt?: string[];
  preset?: Preset;
}

export function addSegment(program: Command): void {
  program
    .command('segment')
    .description('label the pulmonary arteries and veins of a chest CT')
    .argument(
      '<in...>',
      'a chest CT: NIfTI, NRRD or MetaImage in Hounsfield units, or DICOM (folder, zip, file); one a channel',
    )
    .requiredOption('-o, --output <file>', 'label map to write: .nii, .nii.gz, .nrrd, .seg.nrrd (3D Slicer) or .mha')
    .option('--prompt <text>', 'what to look for; may be given several times', collect)
    .option('--model <name|dir>', 'model to use, a run, or the trainer folder of an nnU-Net v2 model')
    .option('--preset <name>', 'a published pipeline instead of a model: totalsegmentator-lung-vessels')
    .option('--weights <dir>', "folder of the preset's models")
    .option('--folds <list>', 'nnU-Net: folds whose mean answers, 0,1 or all (every numbered one)', list)
    .option('--checkpoint <name>', 'nnU-Net: file name of the checkpoints (checkpoint_final.pth)')
    .option('--no-mirror', 'nnU-Net: do not show windows mirrored too')
    .option('--step <share>', 'nnU-Net: share of a window by which windows move on (0.5)', share('--step'))
    .option('--raw-labels', "preset: keep the model's own values")
    .option('--device <device>', 'auto, cpu or cuda[:N]', 'auto')
    .option('--precision <type>', 'what the network computes in: f32, or bf16 on a GPU')
    .option('--threads <n>', 'threads to compute with', integer('--threads', 1))
    .option('--max-memory <bytes>', 'most memory to use: 2G, 900M, …', bytes('--max-memory'))
    .option('--series <uid|n>', 'which series of DICOM: its UID, or its number in "pulmoav info DIR"')
    .option('--index <n>', 'which volume of a file with four axes', integer('--index', 0))
    .option('--probabilities <file>', 'write probabilities too: a 4-D NIfTI [x, y, z, prompt]')
    .option('--keep-lungs', 'write the lungs into the label map too, where it holds no vessel')
    .option('--keep-airways', 'write the airways into the label map too')
    .option('--postprocess', "tidy the labels, which is the plan's own choice otherwise: pulmoav yes, la-caf no")
    .option('--no-postprocess', 'leave the labels as the network saw them')
    .option('--preview <png>', 'draw scan and labels')
    .option('--colours <file>', 'write names and colours of the labels: .txt (ITK-SNAP) or .ctbl (3D Slicer)')
    .option('--stats <file>', 'write a table of what was found, .csv or .json')
    .option('--no-record', 'do not write NAME.run.json, which says what the label map was made of')
    .option('--strict', 'refuse a prompt with a side where the scan leaves the sides unclear, instead of warning')
    .action(async (input: string[], { json, prompt, mirror, ...rest }: Flags) => {
      const printer = progressPrinter();
      const options = { signal: interruption, onProgress: printer.onProgress };
      const job = { input, prompts: prompt, ...rest, ...(mirror === false ? { mirror } : {}) };
      const report = await segmentWithReport(job, options).finally(printer.done);
      if (json) return printJson(report);
      for (const { name, value, volumeMl } of [...report.targets, ...report.structures])
        say(`${value} ${name}: ${volumeMl.toFixed(1)} ml`);
      if (report.folds > 1) say(`mean of ${report.folds} folds`);
      say(
        `${report.output} in ${report.seconds.total.toFixed(1)} s, at most ${readableBytes(report.memory.peakBytes)}`,
      );
      if (report.licence !== null) say(`licence of the model: ${report.licence}`);
      for (const paper of report.citations) say(`cite: ${paper}`);
      sayWarnings(report.warnings);
    });
}
