import type { Command } from 'commander';
import { z } from 'zod';
import { planConfig } from '../config/plan.js';
import { UsageError } from '../errors.js';
import { readJson } from '../files.js';
import { type CheckpointVariant, type ImportOptions, type ImportReport, importCheckpoint } from '../import.js';
import { interruption } from './exit.js';
import { choice, numbers } from './flags.js';
import { printJson, say } from './output.js';

interface Flags {
  json?: boolean;
  out: string;
  variant?: CheckpointVariant;
  prompts?: string;
  windowHu?: number[];
  spacingMm?: number[];
}

export function addImport(program: Command): void {
  program
    .command('import')
    .description("make a model of a checkpoint of the method's own family (la-caf)")
    .argument('<file>', 'a checkpoint: .pth, .pt or .safetensors; nothing in it is executed')
    .requiredOption('-o, --out <dir>', 'model directory to write')
    .option(
      '--variant <variant>',
      'la-caf or gap, where the tensors do not tell',
      choice('--variant', ['la-caf', 'gap']),
    )
    .option('--prompts <json>', "the prompts in the checkpoint's order: a JSON array, or a file with one")
    .option('--window-hu <a,b>', 'window it was trained with, HU (default -700,300)', numbers('--window-hu', [2]))
    .option('--spacing-mm <s>', 'voxel size it was trained at, mm (default 1.5)', numbers('--spacing-mm', [1, 3]))
    .action(async (file: string, { json, out, variant, prompts, windowHu, spacingMm }: Flags) => {
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
    });
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
