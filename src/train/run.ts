import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { recipes, type TrainConfig, type TrainSettings, trainConfig } from '../config/train.js';
import { ConfigError, UsageError } from '../errors.js';
import { makeFolder, readJson, writeAtomic } from '../files.js';

/** What a run directory remembers: the whole config, and the number of steps once it is known. */
export interface RunFile {
  schemaVersion: 1;
  config: TrainConfig;
  /** Steps in all; `null` until `fit:` was measured. */
  steps: number | null;
}

/** Reads a training config: a recipe's name, or a JSON file whose `recipe` is completed by its other fields. */
export async function readTrainConfig(source: string): Promise<TrainConfig> {
  const named = recipes[source];
  if (named) return named;
  let json: unknown;
  try {
    json = await readJson(source);
  } catch (error) {
    const names = Object.keys(recipes).join(', ');
    throw new ConfigError(
      `The config "${source}" is neither a recipe (${names}) nor a JSON file. ${(error as Error).message}`,
      { cause: error },
    );
  }
  return checkTrainConfig(json, source);
}

/** Checks a config; fields that are missing are taken from its `recipe`. */
export function checkTrainConfig(json: unknown, source = 'config'): TrainConfig {
  const { recipe = 'tiny', ...fields } = (json ?? {}) as { recipe?: string };
  const base = recipes[recipe];
  if (!base)
    throw new ConfigError(
      `${source}: there is no recipe "${recipe}"; expected one of ${Object.keys(recipes).join(', ')}.`,
    );
  const parsed = trainConfig.safeParse(merge(base, fields));
  if (parsed.success) return parsed.data;
  throw new ConfigError(`${source} does not hold: ${problems(parsed.error)}`);
}

/** Opens a run directory: a new one with `config`, or the one that is there. */
export async function openRun(out: string, config: TrainSettings | undefined, resume: boolean): Promise<RunFile> {
  const file = join(out, 'run.json');
  const begun = ['latest', '.latest.old'].some((name) => existsSync(join(out, name)));
  if (existsSync(file) && (begun || resume)) {
    if (!resume) {
      throw new UsageError(`"${out}" already holds a run.`, { hint: 'Go on with --resume, or choose another folder.' });
    }
    return checkRun(await readJson(file), file);
  }
  const run: RunFile = { schemaVersion: 1, config: checkTrainConfig(config ?? {}), steps: null };
  if (typeof run.config.steps === 'number') run.steps = run.config.steps;
  await makeFolder(out);
  await saveRun(out, run);
  return run;
}

/** Writes `run.json`. */
export async function saveRun(out: string, run: RunFile): Promise<void> {
  await writeAtomic(join(out, 'run.json'), `${JSON.stringify(run, null, 2)}\n`);
}

const runFile = z.strictObject({
  schemaVersion: z.literal(1),
  config: trainConfig,
  steps: z.number().int().min(0).nullable(),
});

function checkRun(json: unknown, source: string): RunFile {
  const parsed = runFile.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ConfigError(`"${source}" does not hold: ${problems(parsed.error)}`, {
    hint: 'Start a new run in another folder.',
  });
}

function problems(error: z.ZodError): string {
  return z.prettifyError(error).replaceAll('\n', ' ');
}

function merge(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over) || isOtherKind(base, over)) return over ?? base;
  return Object.fromEntries(
    [...new Set([...Object.keys(base), ...Object.keys(over)])].map((key) => [
      key,
      key in over ? merge(base[key], over[key]) : base[key],
    ]),
  );
}

/** Whether two objects are variants of one union: their fields must not be mixed. */
function isOtherKind(base: Record<string, unknown>, over: Record<string, unknown>): boolean {
  return ['kind', 'preset'].some((key) => over[key] !== undefined && over[key] !== base[key]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
