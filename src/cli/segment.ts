import type { Command } from 'commander';
import { FORMATS } from '../batch/scans.js';
import { UsageError } from '../errors.js';
import { foretellWithReport, type ReportedJob, segmentWithReport } from '../report/segmentation.js';
import { type Preset, QUALITIES } from '../segment.js';
import type { SegmentForecast, SegmentReport } from '../segment-file.js';
import { interruption } from './exit.js';
import { bytes, choice, collect, integer, list, share } from './flags.js';
import { printJson, printLine, progressPrinter, readableBytes, readableSeconds, say, sayWarnings } from './output.js';
import { isPipe, withInputs, withOutput } from './pipes.js';

interface Flags extends Omit<ReportedJob, 'input' | 'prompts'> {
  json?: boolean;
  prompt?: string[];
  preset?: Preset;
  format?: string;
  dryRun?: boolean;
}

const EXAMPLES = `
Examples:
  pulmoav segment chest.nii.gz -o labels.nii.gz
  pulmoav segment study -o labels.seg.dcm                      DICOM in, DICOM segmentation out
  pulmoav segment study -o labels.seg.nrrd --report report.html
  pulmoav segment chest.nii.gz -o labels.nii.gz --dry-run      what it will take
  pulmoav segment - -o - --format nii.gz < chest.nii.gz > labels.nii.gz`;

export function addSegment(program: Command): void {
  const command = program.command('segment').description('label the pulmonary arteries and veins of a chest CT');
  addPlaces(command);
  addModel(command);
  addResults(command);
  command.addHelpText('after', EXAMPLES).action(run);
}

function addPlaces(command: Command): void {
  command
    .argument(
      '<in...>',
      'a chest CT: NIfTI, NRRD or MetaImage in Hounsfield units, or DICOM (folder, zip, file); one a channel; - reads one from standard input',
    )
    .requiredOption(
      '-o, --output <file>',
      'label map to write: .nii, .nii.gz, .nrrd, .seg.nrrd (3D Slicer), .mha or, of DICOM, .seg.dcm; - for standard output',
    )
    .option(
      '--format <ending>',
      `format where the name does not tell: ${FORMATS.join(', ')}`,
      choice('--format', FORMATS),
    )
    .option('--overwrite', 'replace a label map that is there')
    .option('--dry-run', 'only check, and say what time and memory it will take')
    .option('--series <uid|n>', 'which series of DICOM: its UID, or its number in "pulmoav info DIR"')
    .option('--index <n>', 'which volume of a file with four axes', integer('--index', 0));
}

function addModel(command: Command): void {
  command
    .option('--prompt <text>', 'what to look for; may be given several times', collect)
    .option('--model <name|dir>', 'model to use, a run, or the trainer folder of an nnU-Net v2 model')
    .option('--preset <name>', 'a published pipeline instead of a model: totalsegmentator-lung-vessels')
    .option('--weights <dir>', "folder of the preset's models")
    .option('--folds <list>', 'nnU-Net: folds whose mean answers, 0,1 or all (every numbered one)', list)
    .option('--checkpoint <name>', 'nnU-Net: file name of the checkpoints (checkpoint_final.pth)')
    .option('--quality <word>', 'fast, normal or best: how much is computed (normal)', choice('--quality', QUALITIES))
    .option('--mirror', 'show each window as it is and mirrored (default of nnU-Net; tiny: every second one mirrored)')
    .option('--no-mirror', 'show no window mirrored')
    .option('--step <share>', 'share of a window by which windows move on', share('--step'))
    .option('--raw-labels', "preset: keep the model's own values")
    .option('--device <device>', 'auto, cpu or cuda[:N]', 'auto')
    .option('--devices <list>', 'GPUs that share the work, cuda:0,cuda:1', list)
    .option('--precision <type>', 'what the network computes in: f32, or tf32 or bf16 on a GPU')
    .option(
      '--tiles-at-once <n>',
      'windows that a GPU is shown at a time (as many as fit)',
      integer('--tiles-at-once', 1),
    )
    .option('--threads <n>', 'threads to compute with', integer('--threads', 1))
    .option('--max-memory <bytes>', 'most memory to use: 2G, 900M, …', bytes('--max-memory'));
}

function addResults(command: Command): void {
  command
    .option('--probabilities <file>', 'write probabilities too: a 4-D NIfTI [x, y, z, prompt]')
    .option('--keep-lungs', 'write the lungs into the label map too, where it holds no vessel')
    .option('--keep-airways', 'write the airways into the label map too')
    .option('--postprocess', "clean the labels, which is the plan's own choice otherwise: pulmoav yes, la-caf no")
    .option('--no-postprocess', 'leave the labels as the network saw them')
    .option('--report <html>', 'write one page that opens offline: slices, 3-D, figures, warnings')
    .option(
      '--tidy',
      "give each branch one class; without a word the plan's choice, else as --postprocess in voxels up to 27 mm³",
    )
    .option('--no-tidy', 'leave the class of each voxel as the network saw it')
    .option('--preview <png>', 'draw scan and labels')
    .option('--colours <file>', 'write names and colours of the labels: .txt (ITK-SNAP) or .ctbl (3D Slicer)')
    .option('--stats <file>', 'write a table of what was found, .csv or .json')
    .option('--no-record', 'do not write NAME.run.json, which says what the label map was made of')
    .option('--strict', 'end with status 3, and write nothing, where a scan or its labels give a warning');
}

async function run(inputs: string[], flags: Flags): Promise<void> {
  const { json, prompt, mirror, format, output, dryRun, ...rest } = flags;
  if (json && isPipe(output) && !dryRun) {
    throw new UsageError('Standard output takes the label map or the object of --json, not both.', {
      hint: 'Name a file with -o, or leave --json out.',
    });
  }
  await withInputs(inputs, (input) =>
    withOutput(output, format, async (path) => {
      // What came by a pipe has no name that a record could tell.
      const record = rest.record !== false && !isPipe(output);
      const asked = {
        ...rest,
        overwrite: rest.overwrite ?? false,
        record,
        ...(mirror === undefined ? {} : { mirror }),
      };
      const job = { input, output: path, prompts: prompt, ...asked };
      const printer = progressPrinter();
      const options = { signal: interruption, onProgress: printer.onProgress };
      if (dryRun) {
        const forecast = await foretellWithReport(job, options).finally(printer.done);
        return json ? printJson({ dryRun: true, ...forecast }) : printForecast(forecast);
      }
      const report = await segmentWithReport(job, options).finally(printer.done);
      if (json) printJson(report);
      else sayReport(report, isPipe(output), [rest.report, rest.preview, rest.stats, rest.colours, rest.probabilities]);
    }),
  );
}

function printForecast({ shape, tile, tiles, seconds, memoryBytes, card, folds, threads }: SegmentForecast): void {
  const times = (sizes: readonly number[]) => sizes.join(' × ');
  printLine(`a scan of ${times(shape)} voxels: ${tiles} windows of ${times(tile)}`);
  if (folds > 1) printLine(`mean of ${folds} folds`);
  printLine(`about ${readableSeconds(seconds)} with ${threads} threads, at most ${readableBytes(memoryBytes)}`);
  if (card) {
    const room = `${readableBytes(card.predictedBytes)} of ${readableBytes(card.freeBytes)} that are free`;
    const rest = card.wholeScan ? '' : '; resampling is done by the CPU';
    printLine(`on the card ${room}, ${card.tilesAtOnce} windows at a time${rest}`);
  }
  printLine('nothing was written');
}

function sayReport(report: SegmentReport, isPiped: boolean, beside: (string | undefined)[]): void {
  for (const { name, value, volumeMl } of [...report.targets, ...report.structures])
    say(`${value} ${name}: ${volumeMl.toFixed(1)} ml`);
  if (report.tidied) {
    const { changed, bridged, looseBefore, looseAfter } = report.tidied;
    say(`${changed.pieces} branches got the other class, ${bridged.pieces} gaps were bridged`);
    say(`${looseBefore.pieces} loose pieces before, ${looseAfter.pieces} after`);
  }
  if (report.folds > 1) say(`mean of ${report.folds} folds`);
  const place = isPiped ? 'standard output' : report.output;
  say(`${place} in ${report.seconds.total.toFixed(1)} s, at most ${readableBytes(report.memory.peakBytes)}`);
  for (const file of beside.filter((file) => file !== undefined)) say(`${file} beside it`);
  if (report.licence !== null) say(`licence of the model: ${report.licence}`);
  for (const paper of report.citations) say(`cite: ${paper}`);
  sayWarnings(report.warnings);
}
