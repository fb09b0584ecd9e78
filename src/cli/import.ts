import type { Command } from 'commander';
import { z } from 'zod';
import { planConfig } from '../config/plan.js';
import { UsageError } from '../errors.js';
import { readJson } from '../files.js';
import { type CheckpointVariant, type ImportOptions, type ImportReport, importCheckpoint } from '../import.js';
import { importNnunet } from '../nnunet.js';
import { interruption } from './exit.js';
import { choice, list, numbers } from './flags.js';
import { printJson, printModel, say } from './output.js';

interface Flags {
  json?: boolean;
  out: string;
  variant?: CheckpointVariant;
  prompts?: string;
  windowHu?: number[];
  spacingMm?: number[];
  folds?: string[];
  checkpoint?: string;
}

export function addImport(program: Command): void {
  program
    .command('import')
    .description("make a model of a checkpoint of the method's own family (la-caf), or of an nnU-Net v2 folder")
    .argument('<file>', 'a checkpoint (.pth, .pt, .safetensors), or: nnunet DIR; nothing in it is executed')
    .argument('[dir]', "after nnunet: the trainer's folder of the model")
    .requiredOption('-o, --out <dir>', 'model directory to write')
    .option(
      '--variant <variant>',
      'la-caf or gap, where the tensors do not tell',
      choice('--variant', ['la-caf', 'gap']),
    )
    .option('--prompts <json>', "the prompts in the checkpoint's order: a JSON array, or a file with one")
    .option('--window-hu <a,b>', 'window it was trained with, HU (default -700,300)', numbers('--window-hu', [2]))
    .option('--spacing-mm <s>', 'voxel size it was trained at, mm (default 1.5)', numbers('--spacing-mm', [1, 3]))
    .option('--folds <list>', 'nnunet: folds to take, 0,1 or all (every numbered one)', list)
    .option('--checkpoint <name>', 'nnunet: file name of the checkpoints (checkpoint_final.pth)')
    .action(async (file: string, dir: string | undefined, flags: Flags) => {
      if (file === 'nnunet') return await importFolder(dir, flags);
      if (dir !== undefined)
        throw new UsageError(`import takes one file; with a folder of nnU-Net: import nnunet ${dir}.`);
      const { folds, checkpoint } = flags;
      if ((folds ?? checkpoint) !== undefined) throw new UsageError('--folds and --checkpoint go with import nnunet.');
      await importFile(file, flags);
    });
}

async function importFile(file: string, { json, out, variant, prompts, windowHu, spacingMm }: Flags): Promise<void> {
  const report = await importCheckpoint({
    file,
    out,
    variant,
    prompts: prompts === undefined ? undefined : await readPrompts(prompts),
    windowHu: windowHu === undefined ? undefined : z.tuple([z.number(), z.number()]).parse(windowHu),
    spacingMm: spacingOf(spacingMm),
    signal: interruption,
  });
  if (json) return printJson(report);
  tell(report);
}

async function importFolder(directory: string | undefined, flags: Flags): Promise<void> {
  if (directory === undefined) throw new UsageError("import nnunet takes the trainer's folder of a model.");
  const { json, out, folds, checkpoint, ...others } = flags;
  const [other] = Object.entries(others).filter(([, value]) => value !== undefined);
  if (other) throw new UsageError(`${other[0]} is for la-caf's checkpoints, not for nnU-Net's folders.`);
  const report = await importNnunet({ directory, out, folds, checkpoint, signal: interruption });
  if (json) return printJson(report);
  printModel(report);
  say(`${out} is a model: pulmoav segment CT.nii.gz -o labels.nii.gz --model ${out}`);
}

const promptList = z.array(z.union([z.string(), planConfig.shape.targets.element]));

/** A JSON array, given as it is or in a file. */
async function readPrompts(given: string): Promise<ImportOptions['prompts']> {
  const parsed = promptList.safeParse(await jsonOf(given));
  if (parsed.success) return parsed.data;
  throw new UsageError(`The prompts do not hold: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
}

async function jsonOf(given: string): Promise<unknown> {
  try {
    return given.trimStart().startsWith('[') ? JSON.parse(given) : await readJson(given);
  } catch (error) {
    throw new UsageError(`--prompts takes a JSON array or a file with one: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** One number for all axes, or three. */
function spacingOf(given: number[] | undefined): ImportOptions['spacingMm'] {
  const [each] = given ?? [];
  return given?.length === 3 ? z.tuple([z.number(), z.number(), z.number()]).parse(given) : each;
}

function tell(report: ImportReport): void {
  const { container, key, variant, widthDivisor, mapped, unused, output } = report;
  const where = key === '' ? container : `${container}, "${key}"`;
  say(`${report.file} (${where}): variant ${variant}, published widths ÷ ${widthDivisor}`);
  say(`${mapped.length} tensors mapped, ${unused.length} unused, none missing`);
  const reasons = new Map<string, string[]>();
  for (const { name, reason } of unused) reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  for (const [reason, names] of reasons) {
    const more = names.length > 3 ? `, … (${names.length})` : '';
    say(`unused: ${names.slice(0, 3).join(', ')}${more}: ${reason}`);
  }
  say(`${output} is a model: pulmoav segment CT.nii.gz -o labels.nii.gz --model ${output}`);
}
