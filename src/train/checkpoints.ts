import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { TrainConfig } from '../config/train.js';
import { FormatError } from '../errors.js';
import { readJson, writeAtomic } from '../files.js';
import { writeManifest } from '../models/manifest.js';
import { addon } from '../native/load.js';
import { type AdaptState, startAdapting } from './adapt.js';

/** The names of a run's model directories. */
export type Kept = 'latest' | 'best';

/**
 * Replaces `RUN/latest` or `RUN/best` by what `save` writes into a fresh directory. Killed at any moment, the run still
 * holds one whole checkpoint: {@link findCheckpoint} finds it.
 */
export async function keep(run: string, name: Kept, save: (directory: string) => Promise<void>): Promise<void> {
  const [fresh, kept, old] = places(run, name);
  await rm(fresh, { recursive: true, force: true });
  await save(fresh);
  await rm(old, { recursive: true, force: true });
  if (existsSync(kept)) await rename(kept, old);
  await rename(fresh, kept);
  await rm(old, { recursive: true, force: true });
}

/** The checkpoint that stands, or the one before it, put back in its place if a kill came between two renames; `undefined` where none is. */
export async function findCheckpoint(run: string, name: Kept): Promise<string | undefined> {
  const [, kept, old] = places(run, name);
  if (existsSync(kept)) return kept;
  if (!existsSync(old)) return undefined;
  await rename(old, kept);
  return kept;
}

/** The file in a checkpoint that holds what the policies remember. */
const ADAPT_FILE = 'adapt.json';
const known = z.array(z.number().nullable());
const byClass = z.tuple([z.number(), z.number(), z.number()]);
const adaptState = z.strictObject({
  confidence: byClass,
  agreement: z.strictObject({ agreed: byClass, given: byClass }),
  logVariances: z.record(z.string(), z.number()),
  caseLosses: known,
  calibreLosses: known,
  sampling: z.strictObject({ cases: z.array(z.number()), calibres: z.array(z.number()) }),
});

/** Writes what the policies remember beside a checkpoint's weights. */
export async function saveAdaptState(directory: string, state: AdaptState): Promise<void> {
  await writeAtomic(join(directory, ADAPT_FILE), `${JSON.stringify(state)}\n`);
}

/** What the policies of a run remember at its latest checkpoint, or before its first step. */
export async function readAdaptState(
  run: string,
  { step, trainingCases }: { step: number; trainingCases: string[] },
): Promise<AdaptState> {
  const file = join(run, 'latest', ADAPT_FILE);
  if (step === 0 || !existsSync(file)) return startAdapting(trainingCases.length);
  const parsed = adaptState.safeParse(await readJson(file));
  if (parsed.success && parsed.data.caseLosses.length === trainingCases.length) return parsed.data;
  throw new FormatError('ERR_FORMAT', `"${file}" does not hold what the policies of this run remember.`, {
    hint: 'Start a new run.',
  });
}

/**
 * Writes a checkpoint's `manifest.json`, after everything else.
 *
 * @throws IoError
 */
export async function sealCheckpoint(directory: string, step: number, config: TrainConfig): Promise<void> {
  const versions = { pulmoav: addon().health().version, node: process.versions.node };
  const configSha256 = createHash('sha256').update(JSON.stringify(config)).digest('hex');
  await writeManifest(directory, { step, versions, configSha256 });
}

function places(run: string, name: Kept): [fresh: string, kept: string, old: string] {
  return [join(run, `.${name}.new`), join(run, name), join(run, `.${name}.old`)];
}
