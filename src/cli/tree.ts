import { type Command, InvalidArgumentError } from 'commander';
import { type TreeJob, treeToFolder } from '../report/tree-folder.js';
import { interruption } from './exit.js';
import { integer, list } from './flags.js';
import { printJson, progressPrinter, say, sayWarnings } from './output.js';

interface Flags extends Omit<TreeJob, 'input'> {
  json?: boolean;
}

export function addTree(program: Command): void {
  program
    .command('tree')
    .description('measure a mask or label map of vessels as trees: branches, radii, orders, loose pieces')
    .argument('<mask>', 'a mask or label map: NIfTI, NRRD or MetaImage')
    .requiredOption('-o, --out <dir>', 'folder for tree.json, tree.png and NAME.swc, NAME.graphml, NAME.vtk a class')
    .option('--values <list>', 'values to measure: 1,2 or artery=1,vein=2 (those that our plans name)', values)
    .option('--threads <n>', 'threads to compute with', integer('--threads', 1))
    .option('--index <n>', 'which volume of a file with four axes', integer('--index', 0))
    .action(async (input: string, { json, ...job }: Flags) => {
      const printer = progressPrinter();
      const options = { signal: interruption, onProgress: printer.onProgress };
      const report = await treeToFolder({ input, ...job }, options).finally(printer.done);
      if (json) return printJson(report);
      for (const { name, branches, lengthMm, trees, loose, loops } of report.trees) {
        say(`${name}: ${branches} branches, ${(lengthMm / 10).toFixed(0)} cm, ${trees} trees, ${loose} loose pieces`);
        if (loops > 0) say(`${name}: ${loops} loops were cut at their thinnest place`);
      }
      say(`${job.out} in ${report.seconds.total.toFixed(1)} s`);
      sayWarnings(report.warnings);
    });
}

/** Parses `1,2` or `artery=1,vein=2`. */
function values(text: string): Record<string, number> | number[] {
  const words = list(text).map((word) => word.split('='));
  const wrong = () => new InvalidArgumentError('--values takes values from 1 to 255, such as 1,2 or artery=1,vein=2.');
  const number = (word: string | undefined) => {
    const value = Number(word);
    if (!/^\d+$/.test(word ?? '') || value < 1 || value > 255) throw wrong();
    return value;
  };
  if (words.every((word) => word.length === 1)) return words.map(([value]) => number(value));
  if (!words.every(([name, , more]) => name !== '' && more === undefined)) throw wrong();
  return Object.fromEntries(words.map(([name, value]) => [name, number(value)]));
}
