import type { Command } from 'commander';
import { type CaseScores, type EvaluateOptions, evaluatedFiles, evaluateFolders } from '../evaluate.js';
import { refuseSamePlace, writeAtomic } from '../files.js';
import { listScores, type Scores } from '../scores.js';
import { errorJson, interruption, PARTIAL_FAILURE } from './exit.js';
import { printJson, progressPrinter, say } from './output.js';

interface Flags {
  json?: boolean;
  pred: string;
  ref: string;
  output?: string;
  within?: string;
  scores?: string[];
  centrelines?: boolean;
  lungs?: string;
  annotatedSides?: string[];
  ignore?: number[];
  resample?: boolean;
  refVeins?: string;
  overlap?: string;
}

export function addEvaluate(program: Command): void {
  program
    .command('evaluate')
    .description('score label maps against references')
    .requiredOption('--pred <path>', 'a label map, or a folder of them')
    .requiredOption('--ref <path>', 'its reference, or a folder with the same names')
    .option('-o, --output <file>', 'write the scores as JSON')
    .option('--within <path>', 'score inside this mask only, or a folder of masks with the same names')
    .option('--scores <groups>', 'overlap, surface, skeleton, tree, all, or names of scores (overlap)', list)
    .option('--centrelines', 'the group skeleton too: clDice and others, by 3-D thinning')
    .option('--lungs <path>', 'a map of the lungs (1 left, 2 right, or of pulmoav anatomy), or a folder of them')
    .option('--annotated-sides <sides>', 'score only these: left, right, central (needs --lungs)', list)
    .option('--ignore <values>', 'values of the reference that do not count', (text) => list(text).map(Number))
    .option('--resample', "bring label maps on another grid onto the reference's instead of refusing them")
    .option('--ref-veins <path>', "the reference's veins, where they have a file, or folder, of their own")
    .option('--overlap <policy>', 'what both of its files claim: ignore, artery or vein (ignore)')
    .action(async (flags: Flags) => {
      const options = optionsOf(flags);
      if (flags.output !== undefined) {
        refuseSamePlace(flags.output, evaluatedFiles(flags.pred, flags.ref, options));
      }
      const printer = progressPrinter();
      const call = { ...options, signal: interruption, onProgress: printer.onProgress };
      const scored = await evaluateFolders(flags.pred, flags.ref, call).finally(printer.done);
      const known = new Set(Object.values(scored.mean).flatMap((row) => Object.keys(row)));
      const scores = {
        cases: scored.cases.map(caseJson),
        mean: scored.mean,
        scores: listScores().filter(({ name }) => known.has(name)),
      };
      if (scored.cases.some((one) => 'error' in one)) process.exitCode = PARTIAL_FAILURE;
      if (flags.output)
        await writeAtomic(flags.output, `${JSON.stringify({ schemaVersion: 1, ...scores }, null, 2)}\n`);
      if (flags.json) return printJson(scores);
      for (const one of [...scored.cases, { name: 'mean', scores: scored.mean }]) say(`${one.name}: ${words(one)}`);
    });
}

function list(text: string): string[] {
  return text.split(',').map((word) => word.trim());
}

function optionsOf(flags: Flags): EvaluateOptions {
  const { within, scores, centrelines, lungs, annotatedSides, ignore, resample, refVeins, overlap } = flags;
  // What is not among the known words is refused with the words themselves.
  const words = { scores, annotatedSides, overlap } as Pick<EvaluateOptions, 'scores' | 'annotatedSides' | 'overlap'>;
  return { ...words, within, centrelines, lungs, ignore, resample, refVeins };
}

function caseJson(one: CaseScores): object {
  return 'error' in one ? { name: one.name, error: errorJson(one.error) } : one;
}

function words(one: CaseScores | { name: string; scores: Scores }): string {
  if ('error' in one) return `failed: ${one.error.message} [${one.error.code}]`;
  const rows = Object.entries(one.scores);
  const told = ({ name, title, unit }: { name: string; title: string; unit: string }) => {
    const values = rows.map(([target, row]) => `${target} ${row[name]?.toFixed(unit === 'mm' ? 2 : 4) ?? '–'}`);
    return `${title} ${values.join(', ')}${unit && ` ${unit}`}`;
  };
  const isTold = (name: string) => TOLD.includes(name) && rows.some(([, row]) => typeof row[name] === 'number');
  return listScores()
    .filter(({ name }) => name === 'dice' || isTold(name))
    .map(told)
    .join('; ');
}

/** What is said of a case; the rest is in the JSON. */
const TOLD = ['dice', 'hd95', 'assd', 'nsd1mm', 'clDice', 'treeLengthDetected', 'branchesDetected'];
