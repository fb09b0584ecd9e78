import type { Command } from 'commander';
import { FORMATS } from '../batch/scans.js';
import { type BatchCase, type BatchReport, type BatchRequest, batch } from '../batch.js';
import { type Preset, QUALITIES } from '../segment.js';
import { adviseOnInterruption, interruption, PARTIAL_FAILURE } from './exit.js';
import { bytes, choice, collect, integer, list, oneOf, share } from './flags.js';
import { printJson, progressPrinter, say } from './output.js';

interface Flags extends Omit<BatchRequest, 'inputs' | 'prompts'> {
  json?: boolean;
  prompt?: string[];
  preset?: Preset;
}

export function addBatch(program: Command): void {
  program
    .command('batch')
    .description('label many chest CTs with one model; can be stopped and resumed')
    .argument('<in...>', 'scans, folders, BIDS or nnU-Net data sets, or lists of jobs (.json)')
    .requiredOption('-o, --out <dir>', 'folder for the label maps, their records and batch.json')
    .option('--format <ending>', `ending of the label maps: ${FORMATS.join(', ')}`, choice('--format', FORMATS))
    .option('--resume', 'leave out what is made: of the same scan by its hash, with the same model and options')
    .option('--overwrite', 'replace label maps that are there')
    .option('--dry-run', 'only list the scans and what would be done')
    .option('--shard <i/n>', 'every n-th scan from the i-th on: for n machines that share the work', oneOf('--shard'))
    .option(
      '--processes <n>',
      'processes that label side by side (2 where memory allows; one a GPU of --devices)',
      integer('--processes', 1),
    )
    .option('--prompt <text>', 'what to look for; may be given several times', collect)
    .option('--model <name|dir>', 'model to use, a run, or the trainer folder of an nnU-Net v2 model')
    .option('--preset <name>', 'a published pipeline instead of a model: totalsegmentator-lung-vessels')
    .option('--weights <dir>', "folder of the preset's models")
    .option('--folds <list>', 'nnU-Net: folds whose mean answers, 0,1 or all (every numbered one)', list)
    .option('--quality <word>', 'fast, normal or best: how much is computed', choice('--quality', QUALITIES))
    .option('--mirror', 'show each window as it is and mirrored (default of nnU-Net; tiny: every second one mirrored)')
    .option('--no-mirror', 'show no window mirrored')
    .option('--step <share>', 'share of a window by which windows move on', share('--step'))
    .option('--device <device>', 'auto, cpu or cuda[:N]', 'auto')
    .option('--devices <list>', 'GPUs that share out the scans, cuda:0,cuda:1: a process each', list)
    .option('--precision <type>', 'what the network computes in: f32, or tf32 or bf16 on a GPU')
    .option('--threads <n>', 'threads to compute with, shared out', integer('--threads', 1))
    .option('--max-memory <bytes>', 'most memory to use, shared out: 8G, 900M, …', bytes('--max-memory'))
    .option('--keep-lungs', 'write the lungs into the label maps too, where they hold no vessel')
    .option('--keep-airways', 'write the airways into the label maps too')
    .option('--tidy', "give each branch one class; without a word the plan's choice")
    .option('--no-tidy', 'leave the class of each voxel as the network saw it')
    .option('--strict', 'fail a scan that there is anything to warn of')
    .action(async (inputs: string[], { json, prompt, mirror, ...rest }: Flags) => {
      adviseOnInterruption('Go on with --resume.');
      // A line for each scan is enough where no line is rewritten.
      const printer = progressPrinter({ stages: false });
      const request = { inputs, prompts: prompt, ...rest, ...(mirror === undefined ? {} : { mirror }) };
      const report = await batch(request, {
        signal: interruption,
        onProgress: printer.onProgress,
        onCase: (one, { ended, total }) => {
          printer.done();
          say(`[${ended}/${total}] ${one.name}: ${one.status}, ${words(one)}`);
        },
      }).finally(printer.done);
      if (report.failed > 0) process.exitCode = PARTIAL_FAILURE;
      if (json) printJson(report);
      else if (rest.dryRun) say(`${report.cases.length - report.made} to label, ${report.made} made before`);
      else sayReport(report);
    });
}

function words({ status, output, error, seconds, targets, warnings }: BatchCase): string {
  if (error) return `${error.message} [${error.code}]`;
  if (status === 'made') return 'made of the same before';
  if (status === 'planned') return `→ ${output}`;
  const volumes = targets.map(({ name, volumeMl }) => `${name} ${volumeMl.toFixed(1)} ml`).join(', ');
  const warned = warnings.map(({ code }) => code).join(', ');
  return `${volumes} in ${(seconds ?? 0).toFixed(1)} s${warned === '' ? '' : `; warnings: ${warned}`}`;
}

/** The table at the end. */
function sayReport({ cases, done, made, failed, seconds, out, processes }: BatchReport): void {
  const width = Math.max(...cases.map(({ name }) => name.length));
  for (const one of cases) say(`${one.name.padEnd(width)}  ${one.status.padEnd(7)}  ${words(one)}`);
  const each = done > 0 ? `, ${(seconds / done).toFixed(1)} s each` : '';
  say(`${done} done, ${made} made before, ${failed} failed in ${seconds.toFixed(1)} s${each}, ${processes} at a time`);
  say(`labels, records and batch.json are in ${out}`);
}
