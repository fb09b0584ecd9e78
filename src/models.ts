import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPath } from './check.js';
import { ModelError } from './errors.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { Axes, CallOptions } from './types.js';

/** Name of the model that comes with the package. */
export const DEFAULT_MODEL = 'tiny';

const root = fileURLToPath(new URL('../models/', import.meta.url));

/** What a model directory holds. */
export interface ModelInfo {
  /** The plan's name. */
  name: string;
  /** Its directory. */
  path: string;
  /** `pulmoav` or `la-caf`. */
  preset: string;
  /** Voxel size the network works at, mm, `[z, y, x]`. */
  spacingMm: Axes;
  /** Parameters of the network. */
  parameters: number;
  /** What can be asked for. */
  targets: { name: string; value: number; prompt: string }[];
  /** Id of the text encoder whose embeddings the plan holds. */
  textEncoder: string;
}

/** The directory of the bundled model. */
export function bundledModel(): string {
  return join(root, DEFAULT_MODEL);
}

/** Names of the models on this machine. */
export function listModels(): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root).filter((name) => existsSync(join(root, name, 'model.safetensors')));
}

/**
 * The directory of a model given by name or by path.
 *
 * @throws ModelError where there is none
 */
export function findModel(model: string = DEFAULT_MODEL): string {
  checkPath('The model', model);
  const named = join(root, model);
  if (basename(model) === model && existsSync(join(named, 'model.safetensors'))) return named;
  if (existsSync(join(model, 'model.safetensors'))) return model;
  const found = existsSync(model)
    ? `"${model}" is ${statSync(model).isDirectory() ? 'a folder' : 'a file'}, but not a model directory: it has no model.safetensors`
    : `There is no model "${model}"`;
  throw new ModelError('ERR_MODEL', `${found}. Give a directory, or one of: ${listModels().join(', ') || '(none)'}.`);
}

/**
 * Loads a model once and says what it is; whatever is wrong with it is found.
 *
 * @throws ModelError
 */
export async function verifyModel(model?: string, options: CallOptions = {}): Promise<ModelInfo> {
  const path = findModel(model);
  const { value } = await call<Omit<ModelInfo, 'path'>>(options, () => addon().verifyModel(path));
  return { path, ...value };
}
