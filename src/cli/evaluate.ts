import { type Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import { type Comparison, compare } from '../evaluate/compare.js';
import { type Evaluation, evaluationJson, failedCases, scoredCases } from '../evaluate/result.js';
import { type EvaluateOptions, evaluatedFiles, evaluateFolders } from '../evaluate.js';
import { inFolder, refuseMissingFolder, refuseSamePlace, writeAtomic } from '../files.js';
import { evaluationToFolder, prepareFolder } from '../report/evaluation-folder.js';
import { listScores, type ScoreDescription, type Scores } from '../scores.js';
import { sayComparison } from './compare.js';
import { interruption, PARTIAL_FAILURE } from './exit.js';
import { bytes, integer, list } from './flags.js';
import { printJson, printLine, progressPrinter, say, sayWarnings } from './output.js';

interface Flags {
  json?: boolean;
  pred: string;
  ref: string;
  against?: string;
  output?: string;
  report?: string;
  images?: string;
  pictures?: number;
  within?: string;
  scores?: string[];
  centrelines?: boolean;
  lungs?: string;
  annotatedSides?: string[];
  ignore?: number[];
  resample?: boolean;
  refVeins?: string;
  overlap?: string;
  draws?: number;
  seed?: number;
  maxMemory?: number;
}

export function addEvaluate(program: Command): void {
  program
    .command('evaluate')
    .description('score label maps against references, and compare two models')
    .requiredOption('--pred <path>', 'a label map, or a folder of them')
    .requiredOption('--ref <path>', 'its reference, or a folder with the same names')
    .option('--against <dir>', "another model's folder, to compare with")
    .option('-o, --output <file>', 'write the scores as JSON')
    .option('--report <dir>', 'write summary.json as nnU-Net has it, scores.csv and report.html')
    .option('--images <dir>', 'folder of the scans, drawn behind the outlines of the report')
    .option('--pictures <n>', 'draw so many of the worst cases (6)', integer('--pictures', 0))
    .option('--within <path>', 'score inside this mask only, or a folder of masks with the same names')
    .option('--scores <groups>', 'overlap, surface, skeleton, tree, all, or names of scores (overlap)', list)
    .option('--centrelines', 'the group skeleton too: clDice and others, by 3-D thinning')
    .option('--lungs <path>', 'a map of the lungs (1 left, 2 right, or of pulmoav anatomy), or a folder of them')
    .option('--annotated-sides <sides>', 'score only these: left, right, central (needs --lungs)', list)
    .option('--ignore <values>', 'values of the reference that do not count', (text) => list(text).map(Number))
    .option('--resample', "bring label maps on another grid onto the reference's instead of refusing them")
    .option('--ref-veins <path>', "the reference's veins, where they have a file, or folder, of their own")
    .addOption(
      new Option('--overlap <policy>', 'what both of its files claim (ignore)').choices(['ignore', 'artery', 'vein']),
    )
    .option('--draws <n>', 'draws of the bootstrap intervals (10000)', integer('--draws', 100))
    .option('--seed <s>', 'their seed (1)', integer('--seed', 0))
    .option('--max-memory <bytes>', 'memory that cases scored side by side may take', bytes('--max-memory'))
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { pred, ref, against: other, output, report: out, images, pictures } = flags;
  const asked = optionsOf(flags);
  if (out === undefined && (images !== undefined || pictures !== undefined)) {
    throw new UsageError('--images and --pictures belong to a report.', { hint: 'Add --report DIR.' });
  }
  const inputs = [pred, ...(other === undefined ? [] : [other])].flatMap((path) => evaluatedFiles(path, ref, asked));
  if (output !== undefined) {
    refuseSamePlace(output, inputs);
    await refuseMissingFolder(output);
  }
  const printer = progressPrinter();
  const call = { signal: interruption, onProgress: printer.onProgress };
  const bootstrap = {
    ...(flags.draws !== undefined && { draws: flags.draws }),
    ...(flags.seed !== undefined && { seed: flags.seed }),
  };
  const options = { ...asked, ...call, bootstrap, maxMemory: flags.maxMemory };
  const work = async () => {
    if (out !== undefined) {
      const files = await prepareFolder(out, other !== undefined, inputs);
      if (output !== undefined) refuseSamePlace(output, Object.values(files));
    }
    const evaluation = await evaluateFolders(pred, ref, options);
    const against = other === undefined ? undefined : await evaluateFolders(other, ref, options);
    if (out === undefined) {
      const comparison = against && (await compare(evaluation, against, { ...call, bootstrap }));
      return { evaluation, against, comparison };
    }
    const report = await evaluationToFolder({ evaluation, against, out, images, pictures }, call);
    return { evaluation, against, comparison: report.comparison ?? undefined, report };
  };
  const { report, ...done } = await (out === undefined ? work() : inFolder(out, work)).finally(printer.done);
  process.exitCode = statusOf(done);
  const result = resultJson(done);
  if (output !== undefined) {
    await writeAtomic(output, `${JSON.stringify({ schemaVersion: 1, ...result }, null, 2)}\n`);
  }
  if (flags.json) return printJson(report ? { ...result, files: report.files, warnings: report.warnings } : result);
  tell(done);
  if (report) say(`report: ${report.files.page}`);
  sayWarnings(report?.warnings ?? []);
}

interface Done {
  evaluation: Evaluation;
  against: Evaluation | undefined;
  comparison: Comparison | undefined;
}

function statusOf({ evaluation, against }: Done): number {
  const failed = [evaluation, ...(against ? [against] : [])].flatMap(failedCases);
  if (failed.some(({ error }) => error.code === 'ERR_INTERNAL')) return 1;
  return failed.length > 0 ? PARTIAL_FAILURE : 0;
}

function resultJson({ evaluation, against, comparison }: Done): object {
  return { ...evaluationJson(evaluation), ...(against && { against: evaluationJson(against), comparison }) };
}

function tell({ evaluation, against, comparison }: Done): void {
  for (const one of [evaluation, ...(against ? [against] : [])]) sayEvaluation(one);
  if (comparison) sayComparison(comparison);
}

function sayEvaluation({ cases, unpaired, mean, intervals, pred }: Evaluation): void {
  const alone = new Map(unpaired.map(({ name, file, missing }) => [name, `${file} has no ${missing} of its name`]));
  for (const one of cases) {
    if ('scores' in one) {
      printLine(`${one.name}: ${told(one.scores)}`);
      for (const { text } of one.rules.filter(({ name }) => name === 'otherLabels')) printLine(`${one.name}: ${text}`);
    } else if (alone.has(one.name)) say(`warning: ${alone.get(one.name)} [${one.error.code}]`);
    else say(`${one.name}: failed: ${one.error.message} [${one.error.code}]`);
  }
  printLine(`mean of ${scoredCases({ cases }).length} in ${pred}: ${told(mean, intervals)}`);
}

/** What is said of a case; the rest is in the JSON. */
const TOLD = ['dice', 'hd95', 'assd', 'nsd1mm', 'clDice', 'treeLengthDetected', 'branchesDetected'];

/** A few scores of each target, with the intervals of means. */
function told(scores: Scores, intervals: Evaluation['intervals'] = {}): string {
  const rows = Object.entries(scores);
  const tell = ({ name, title, unit }: ScoreDescription) => {
    const number = (value: number | null | undefined) => value?.toFixed(unit === 'mm' ? 2 : 4) ?? '–';
    const values = rows.map(([target, row]) => {
      const interval = intervals[target]?.[name];
      return `${target} ${number(row[name])}${interval ? ` [${number(interval.low)}, ${number(interval.high)}]` : ''}`;
    });
    return `${title} ${values.join(', ')}${unit && ` ${unit}`}`;
  };
  const isTold = (name: string) => TOLD.includes(name) && rows.some(([, row]) => typeof row[name] === 'number');
  return listScores()
    .filter(({ name }) => name === 'dice' || isTold(name))
    .map(tell)
    .join('; ');
}

function optionsOf(flags: Flags): EvaluateOptions {
  const { within, scores, centrelines, lungs, annotatedSides, ignore, resample, refVeins, overlap } = flags;
  // What is not among the known words is refused with the words themselves.
  const words = { scores, annotatedSides, overlap } as Pick<EvaluateOptions, 'scores' | 'annotatedSides' | 'overlap'>;
  return { ...words, within, centrelines, lungs, ignore, resample, refVeins };
}
