import type { Command } from 'commander';
import { phantom } from '../phantom.js';
import { interruption } from './exit.js';
import { choice, integer } from './flags.js';
import { printJson, progressPrinter, say } from './output.js';

interface Flags {
  json?: boolean;
  out: string;
  count: number;
  seed: number;
  halfLabelled?: boolean;
  size: 'small' | 'full';
  style: 'plain' | 'hospital';
}

export function addPhantom(program: Command): void {
  program
    .command('phantom')
    .description('make synthetic chest CT with known arteries and veins, as a data set')
    .requiredOption('-o, --out <dir>', 'folder of the data set')
    .option('--count <n>', 'how many', integer('--count', 1), 1)
    .option('--seed <s>', 'seed of the first one', integer('--seed', 0), 1)
    .option('--half-labelled', 'annotate one lung only, left and right in turn')
    .option('--size <size>', 'small or full', choice('--size', ['small', 'full']), 'small')
    .option('--style <style>', 'hospital or plain', choice('--style', ['hospital', 'plain']), 'hospital')
    .action(async (flags: Flags) => {
      const { json, ...options } = flags;
      const printer = progressPrinter();
      const cases = await phantom({ ...options, signal: interruption, onProgress: printer.onProgress });
      printer.done();
      if (json) return printJson({ cases });
      say(`${cases.length} phantom${cases.length === 1 ? '' : 's'} in ${flags.out}`);
    });
}
