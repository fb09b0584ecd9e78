import { basename, resolve } from 'node:path';
import { z } from 'zod';
import { checkPath } from './check.js';
import { laCafPlan, ourTargets, type PlanConfig, planConfig } from './config/plan.js';
import { UsageError } from './errors.js';
import { replaceFolder } from './files.js';
import { checkReplaceable } from './models/directory.js';
import type { CheckpointVariant, ImportedCheckpoint } from './native/binding.js';
import { addon } from './native/load.js';
import { ANY, CALL_OPTIONS, checkOptions, type Kinds, oneOf, PATH } from './options.js';
import { call } from './progress.js';
import type { Axes, CallOptions } from './types.js';

export type { CheckpointVariant };

/** What a checkpoint's row of embeddings was a prompt for. */
export interface PromptTarget {
  /** Its name, by which it can be asked for. */
  name: string;
  /** Its value in label maps, 1 to 255. */
  value: number;
  /** The words it was trained with. */
  prompt: string;
  /** The vessels it is made of. */
  classes: ('artery' | 'vein')[];
  /** The patient's side; `null` for both. */
  side: 'left' | 'right' | null;
}

/** What to import, and what the file does not say. */
export interface ImportOptions extends CallOptions {
  /** The checkpoint: `.pth` or `.pt` as PyTorch writes them, or `.safetensors`. Told by content; nothing in it is executed. */
  file: string;
  /** The model directory to write: a new one, an empty one, or a model to replace. */
  out: string;
  /** The variant. @default told by the tensors */
  variant?: CheckpointVariant | undefined;
  /**
   * The prompts in the checkpoint's order: names of our targets (`'left artery'`), or targets of its own.
   *
   * @default left artery, left vein, right artery, right vein
   */
  prompts?: (string | PromptTarget)[] | undefined;
  /** The window that the network was trained with, HU; the scan is cropped to what lies above its low end. @default [-700, 300] */
  windowHu?: [low: number, high: number] | undefined;
  /** The voxel size that the network was trained at, mm: one for all axes, or `[z, y, x]`. @default 1.5 */
  spacingMm?: number | Axes | undefined;
}

/** What became of every tensor of a checkpoint. */
export interface ImportReport extends ImportedCheckpoint {
  /** The model directory. */
  output: string;
}

const OPTIONS: Kinds<ImportOptions> = {
  ...CALL_OPTIONS,
  file: PATH,
  out: PATH,
  variant: oneOf('la-caf', 'gap'),
  prompts: ANY,
  windowHu: ANY,
  spacingMm: ANY,
};

/**
 * Makes a model directory of a checkpoint of the published family (`la-caf`). The directory appears whole or not at
 * all.
 *
 * @example
 * const { output, unused } = await importCheckpoint({ file: 'best.pth', out: 'imported' });
 * using segmenter = await Segmenter.load({ model: output });
 *
 * @throws UsageError for another number of prompts than the checkpoint's; ModelError for tensors that are missing, of
 * another kind or damaged, and for pickles that hold more than data; FormatError for what is no checkpoint; IoError
 */
export async function importCheckpoint(options: ImportOptions): Promise<ImportReport> {
  checkOptions(options, OPTIONS);
  const { file, out, variant } = options;
  checkPath('The checkpoint', file);
  checkPath('The model directory', out);
  const request = { plan: JSON.stringify(planOf(options)), variant: variant ?? null };
  checkReplaceable(out);
  return await replaceFolder(out, async (fresh) => {
    const imported = await call(options, () => addon().importCheckpoint(file, fresh, request));
    options.signal?.throwIfAborted();
    return { output: out, ...imported };
  });
}

/** The published plan with what the caller knows better. */
function planOf({ out, prompts, windowHu, spacingMm }: ImportOptions): PlanConfig {
  const plan = structuredClone(laCafPlan);
  plan.name = basename(resolve(out)) || plan.name;
  if (prompts !== undefined) plan.targets = checkPrompts(prompts);
  plan.defaultTargets = plan.targets.map(({ name }) => name);
  if (windowHu !== undefined) {
    const right = Array.isArray(windowHu) && windowHu.length === 2 && windowHu.every(Number.isFinite);
    if (!right || windowHu[0] >= windowHu[1]) {
      throw new UsageError(`windowHu must be two numbers, the low one first, but it is ${JSON.stringify(windowHu)}.`);
    }
    plan.channels = [{ kind: 'window', windowHu }];
    plan.crop = { kind: 'foreground', aboveHu: windowHu[0] };
  }
  if (spacingMm !== undefined) {
    const axes: Axes = typeof spacingMm === 'number' ? [spacingMm, spacingMm, spacingMm] : spacingMm;
    if (!Array.isArray(axes) || axes.length !== 3 || !axes.every((mm) => mm >= 0.05 && mm <= 50)) {
      throw new UsageError(
        `spacingMm must be one or three numbers from 0.05 to 50, but it is ${JSON.stringify(spacingMm)}.`,
      );
    }
    plan.spacingMm = axes;
  }
  return plan;
}

/** Names become our targets; targets of the caller's own must hold, and no name or value may come twice. */
function checkPrompts(prompts: unknown): PromptTarget[] {
  const names = ourTargets.map(({ name }) => name).join(', ');
  const wanted = `Give names (${names}) or objects {name, value, prompt, classes, side}`;
  if (!Array.isArray(prompts)) throw new UsageError(`prompts must be an array. ${wanted}.`);
  const targets = prompts.map((prompt: unknown, row) => {
    if (typeof prompt !== 'string') return prompt;
    const words = prompt.trim().toLowerCase();
    const found = ourTargets.find((target) => target.name === words || target.prompt.toLowerCase() === words);
    if (!found) throw new UsageError(`Prompt ${row}, ${JSON.stringify(prompt)}, is no known target. ${wanted}.`);
    return found;
  });
  const parsed = planConfig.shape.targets.safeParse(targets);
  if (!parsed.success) {
    throw new UsageError(`The prompts do not hold: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')} ${wanted}.`);
  }
  for (const key of ['name', 'value'] as const) {
    if (new Set(parsed.data.map((target) => target[key])).size < targets.length) {
      throw new UsageError(`Two prompts have the same ${key}; a checkpoint's rows must be told apart.`);
    }
  }
  return parsed.data;
}
