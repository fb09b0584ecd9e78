import type { Command } from 'commander';
import { writeAtomic } from '../atomic.js';
import { evaluateFolders } from '../evaluate.js';
import { interruption } from './exit.js';
import { printJson, progressPrinter, say } from './output.js';

interface Flags {
  json?: boolean;
  pred: string;
  ref: string;
  output?: string;
  within?: string;
}

export function addEvaluate(program: Command): void {
  program
    .command('evaluate')
    .description('score label maps against references')
    .requiredOption('--pred <path>', 'a label map, or a folder of them')
    .requiredOption('--ref <path>', 'its reference, or a folder with the same names')
    .option('-o, --output <file>', 'write the scores as JSON')
    .option('--within <path>', 'score inside this mask only, or a folder of masks with the same names')
    .action(async (flags: Flags) => {
      const printer = progressPrinter();
      const options = { within: flags.within, signal: interruption, onProgress: printer.onProgress };
      const scores = await evaluateFolders(flags.pred, flags.ref, options).finally(printer.done);
      if (flags.output)
        await writeAtomic(flags.output, `${JSON.stringify({ schemaVersion: 1, ...scores }, null, 2)}\n`);
      if (flags.json) return printJson(scores);
      for (const { name, scores: byTarget } of [...scores.cases, { name: 'mean', scores: scores.mean }]) {
        const words = Object.entries(byTarget).map(([target, { dice }]) => `${target} ${dice?.toFixed(4) ?? '–'}`);
        say(`${name}: Dice ${words.join(', ')}`);
      }
    });
}
