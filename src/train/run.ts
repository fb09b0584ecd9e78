import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeAtomic } from '../atomic.js';
import { recipes, type TrainConfig, trainConfig } from '../config/train.js';
import { ConfigError, IoError, UsageError } from '../errors.js';

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
    json = JSON.parse(await readFile(source, 'utf8'));
  } catch (error) {
    const names = Object.keys(recipes).join(', ');
    throw new ConfigError(
      `The config "${source}" is neither a recipe (${names}) nor a readable JSON file: ${(error as Error).message}.`,
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
  throw new ConfigError(`${source} does not hold: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
}

/** Opens a run directory: a new one with `config`, or the one that is there. */
export async function openRun(out: string, config: TrainConfig | undefined, resume: boolean): Promise<RunFile> {
  const file = join(out, 'run.json');
  if (existsSync(file)) {
    if (!resume) {
      throw new UsageError(`"${out}" already holds a run.`, { hint: 'Go on with --resume, or choose another folder' });
    }
    return JSON.parse(await readFile(file, 'utf8')) as RunFile;
  }
  const run: RunFile = { schemaVersion: 1, config: config ?? (recipes.tiny as TrainConfig), steps: null };
  if (typeof run.config.steps === 'number') run.steps = run.config.steps;
  try {
    await mkdir(out, { recursive: true });
  } catch (error) {
    throw new IoError('ERR_IO', `The folder "${out}" could not be made: ${(error as Error).message}.`, {
      cause: error,
    });
  }
  await saveRun(out, run);
  return run;
}

/** Writes `run.json`. */
export async function saveRun(out: string, run: RunFile): Promise<void> {
  await writeAtomic(join(out, 'run.json'), `${JSON.stringify(run, null, 2)}\n`);
}

function merge(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over) || (base.kind !== over.kind && over.kind !== undefined)) return over ?? base;
  return Object.fromEntries(
    [...new Set([...Object.keys(base), ...Object.keys(over)])].map((key) => [
      key,
      key in over ? merge(base[key], over[key]) : base[key],
    ]),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
