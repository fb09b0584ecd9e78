import type { Command } from 'commander';
import { type CaseScores, evaluatedFiles, evaluateFolders } from '../evaluate.js';
import { refuseSamePlace, writeAtomic } from '../files.js';
import { errorJson, interruption, PARTIAL_FAILURE } from './exit.js';
import { printJson, progressPrinter, say } from './output.js';

interface Flags {
  json?: boolean;
  pred: string;
  ref: string;
  output?: string;
  within?: string;
  centrelines?: boolean;
}

export function addEvaluate(program: Command): void {
  program
    .command('evaluate')
    .description('score label maps against references')
    .requiredOption('--pred <path>', 'a label map, or a folder of them')
    .requiredOption('--ref <path>', 'its reference, or a folder with the same names')
    .option('-o, --output <file>', 'write the scores as JSON')
    .option('--within <path>', 'score inside this mask only, or a folder of masks with the same names')
    .option('--centrelines', 'compare centrelines too: clDice, by 3-D thinning')
    .action(async (flags: Flags) => {
      if (flags.output !== undefined) {
        refuseSamePlace(flags.output, evaluatedFiles(flags.pred, flags.ref, flags.within));
      }
      const printer = progressPrinter();
      const { within, centrelines } = flags;
      const options = { within, centrelines, signal: interruption, onProgress: printer.onProgress };
      const scored = await evaluateFolders(flags.pred, flags.ref, options).finally(printer.done);
      const scores = { cases: scored.cases.map(caseJson), mean: scored.mean };
      if (scored.cases.some((one) => 'error' in one)) process.exitCode = PARTIAL_FAILURE;
      if (flags.output)
        await writeAtomic(flags.output, `${JSON.stringify({ schemaVersion: 1, ...scores }, null, 2)}\n`);
      if (flags.json) return printJson(scores);
      for (const one of [...scored.cases, { name: 'mean', scores: scored.mean }]) say(`${one.name}: ${words(one)}`);
    });
}

function caseJson(one: CaseScores): object {
  return 'error' in one ? { name: one.name, error: errorJson(one.error) } : one;
}

function words(one: CaseScores): string {
  if ('error' in one) return `failed: ${one.error.message} [${one.error.code}]`;
  const rows = Object.entries(one.scores);
  const told = (score: 'dice' | 'clDice') => rows.map(([target, row]) => `${target} ${row[score]?.toFixed(4) ?? '–'}`);
  const compared = rows.some(([, row]) => row.clDice !== null);
  return `Dice ${told('dice').join(', ')}${compared ? `; clDice ${told('clDice').join(', ')}` : ''}`;
}
