import type { Command } from 'commander';
import { type Comparison, compare, isTelling, type ScoreComparison } from '../evaluate/compare.js';
import { refuseMissingFolder, refuseSamePlace, writeAtomic } from '../files.js';
import { interruption } from './exit.js';
import { integer } from './flags.js';
import { printJson, printLine, progressPrinter, say } from './output.js';

interface Flags {
  json?: boolean;
  output?: string;
  draws?: number;
  seed?: number;
}

export function addCompare(program: Command): void {
  program
    .command('compare')
    .description('compare two models by their results, case by case')
    .argument('<first>', 'a result of "pulmoav evaluate -o", or a summary.json, nnU-Net\'s too')
    .argument('<second>', 'another one')
    .option('-o, --output <file>', 'write the comparison as JSON')
    .option('--draws <n>', 'draws of the bootstrap intervals (10000)', integer('--draws', 100))
    .option('--seed <s>', 'their seed (1)', integer('--seed', 0))
    .action(async (first: string, second: string, { json, output, draws, seed }: Flags) => {
      if (output !== undefined) {
        refuseSamePlace(output, [first, second]);
        await refuseMissingFolder(output);
      }
      const printer = progressPrinter();
      const bootstrap = { ...(draws !== undefined && { draws }), ...(seed !== undefined && { seed }) };
      const options = { signal: interruption, onProgress: printer.onProgress, bootstrap };
      const compared = await compare(first, second, options).finally(printer.done);
      if (output !== undefined) {
        await writeAtomic(output, `${JSON.stringify({ schemaVersion: 1, ...compared }, null, 2)}\n`);
      }
      if (json) return printJson(compared);
      sayComparison(compared);
    });
}

/** A line a target and score, and what was left out. */
export function sayComparison({ cases, onlyFirst, onlySecond, differences, scores, bootstrap }: Comparison): void {
  const percent = Number((100 * bootstrap.level).toPrecision(3));
  printLine(`${cases} cases in both; first − second, ${percent} % interval, Wilcoxon's p:`);
  const rows = Object.entries(differences).flatMap(([target, row]) =>
    scores.flatMap((score) => {
      const found = row[score.name];
      const title = `${score.title} ${score.unit}`.trim();
      return found && isTelling(score, found) ? [[target, title, ...figures(found, score.unit === '' ? 4 : 1)]] : [];
    }),
  );
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) printLine(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  for (const name of onlyFirst) say(`warning: ${name} has scores in the first alone and is left out [UNPAIRED]`);
  for (const name of onlySecond) say(`warning: ${name} has scores in the second alone and is left out [UNPAIRED]`);
}

function figures({ first, second, difference, interval, wilcoxon }: ScoreComparison, decimals: number): string[] {
  const text = (value: number) => value.toFixed(decimals);
  const range = interval ? `[${text(interval.low)}, ${text(interval.high)}]` : '';
  return [
    `${text(first)} − ${text(second)}`,
    `= ${text(difference)}`,
    range,
    `p = ${wilcoxon?.p.toPrecision(2) ?? '–'}`,
  ];
}
