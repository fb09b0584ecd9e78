import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
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
  /** Names of the cases learnt from and validated on, once they are known. */
  cases?: RunCases | undefined;
}

/** Names of the cases learnt from and validated on. */
export interface RunCases {
  training: string[];
  validation: string[];
}

/** Reads a training config: a recipe's name, or a JSON file whose `recipe` is completed by its other fields. */
export async function readTrainConfig(source: string): Promise<TrainConfig> {
  const named = recipeOf(source);
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

/** A recipe by its name; names such as `constructor`, which every object has, are none. */
function recipeOf(name: unknown): TrainConfig | undefined {
  return typeof name === 'string' && Object.hasOwn(recipes, name) ? recipes[name] : undefined;
}

/** Checks a config; fields that are missing are taken from its `recipe`. */
export function checkTrainConfig(json: unknown, source = 'config'): TrainConfig {
  const given = json ?? {};
  if (!isRecord(given)) throw new ConfigError(`${source} does not hold: it must be an object.`);
  const { recipe = 'tiny', ...fields } = given;
  const base = recipeOf(recipe);
  if (!base)
    throw new ConfigError(
      `${source}: there is no recipe "${recipe}"; expected one of ${Object.keys(recipes).join(', ')}.`,
    );
  const parsed = trainConfig.safeParse(merge(base, fields));
  if (parsed.success) return parsed.data;
  throw new ConfigError(`${source} does not hold: ${problems(parsed.error)}`);
}

/** Opens a run directory: a new one with the config and fold given, or the one there. */
export async function openRun(
  out: string,
  given: TrainSettings | undefined,
  { resume, fold }: { resume: boolean; fold?: number | undefined },
): Promise<RunFile> {
  const config = given && fold !== undefined ? { ...given, fold } : given;
  const file = join(out, 'run.json');
  const begun = ['latest', '.latest.old'].some((name) => existsSync(join(out, name)));
  if (existsSync(file) && (begun || resume)) {
    if (!resume) {
      throw new UsageError(`"${out}" already holds a run.`, { hint: 'Go on with --resume, or choose another folder.' });
    }
    const run = checkRun(await readJson(file), file);
    if (config !== undefined && !isDeepStrictEqual(checkTrainConfig(config), run.config)) {
      throw new UsageError(`"${out}" holds a run with another config.`, {
        hint: 'A run goes on with its own: leave the config out, or choose another folder for a new run.',
      });
    }
    if (fold !== undefined && fold !== run.config.fold) {
      throw new UsageError(`"${out}" holds a run of fold ${run.config.fold}, not ${fold}.`, {
        hint: 'Choose another folder for another fold.',
      });
    }
    return run;
  }
  const run: RunFile = {
    schemaVersion: 1,
    config: checkTrainConfig(config ?? (fold === undefined ? {} : { fold })),
    steps: null,
  };
  if (typeof run.config.steps === 'number') run.steps = run.config.steps;
  await makeFolder(out);
  await saveRun(out, run);
  return run;
}

/** Remembers the cases of a run, or refuses others than it began with. */
export async function keepCases(out: string, run: RunFile, cases: RunCases): Promise<void> {
  if (run.cases && !isDeepStrictEqual(run.cases, cases)) {
    throw new UsageError(`"${out}" holds a run on other cases than those of this data set.`, {
      hint: 'Name the data set it began with, or choose another folder for a new run.',
    });
  }
  if (run.cases) return;
  run.cases = cases;
  await saveRun(out, run);
}

/** Writes `run.json`. */
export async function saveRun(out: string, run: RunFile): Promise<void> {
  await writeAtomic(join(out, 'run.json'), `${JSON.stringify(run, null, 2)}\n`);
}

/** The config of the run that a folder holds; `undefined` where it holds none. */
export async function configOf(out: string): Promise<TrainConfig | undefined> {
  const file = join(out, 'run.json');
  return existsSync(file) ? checkRun(await readJson(file), file).config : undefined;
}

const runFile = z.strictObject({
  schemaVersion: z.literal(1),
  config: trainConfig,
  steps: z.number().int().min(0).nullable(),
  cases: z.strictObject({ training: z.array(z.string()), validation: z.array(z.string()) }).optional(),
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
