import type { Command } from 'commander';
import { plan, type TrainingPlan } from '../plan.js';
import { interruption } from './exit.js';
import { bytes, integer } from './flags.js';
import { printJson, progressPrinter, readableBytes, say } from './output.js';

interface Flags {
  json?: boolean;
  output?: string;
  maxMemory?: number;
  folds?: number;
}

export function addPlan(program: Command): void {
  program
    .command('plan')
    .description('measure a data set and make a training config for it')
    .argument('<dataset>', 'folder with imagesTr, labelsTr and dataset.json')
    .option('-o, --output <file>', 'write the config, for train --config; else it is printed')
    .option(
      '--max-memory <bytes>',
      "what training may take, 8G for instance (half of the machine's)",
      bytes('--max-memory'),
    )
    .option('--folds <n>', 'write splits_final.json into the data set, where there is none', integer('--folds', 2))
    .action(async (dataset: string, { json, output, maxMemory, folds }: Flags) => {
      const printer = progressPrinter();
      const made = await plan(dataset, {
        out: output,
        maxMemoryBytes: maxMemory,
        folds,
        signal: interruption,
        onProgress: printer.onProgress,
      }).finally(printer.done);
      if (json) return printJson({ ...made, output: output ?? null });
      tell(made);
      if (output === undefined) process.stdout.write(`${JSON.stringify(made.config, null, 2)}\n`);
      else say(`${output}: pulmoav train ${dataset} -o RUN --config ${output}`);
    });
}

function tell({ fingerprint, reasons, predictedBytes, splits }: TrainingPlan): void {
  const { full, half, unlabelled, unusable } = fingerprint.cases;
  say(`${full} cases annotated in full, ${half} in part, ${unlabelled} not at all`);
  if (unusable > 0) say(`${unusable} cases cannot be used: pulmoav verify says why`);
  for (const { field, value, reason } of reasons) say(`${field} = ${value}: ${reason}`);
  say(`a training step takes about ${readableBytes(predictedBytes)}`);
  if (splits === 'written') say('splits_final.json was written');
  if (splits === 'kept') say('splits_final.json is there and stays');
}
