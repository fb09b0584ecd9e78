import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPath } from './check.js';
import { FormatError, ModelError, UsageError } from './errors.js';
import { cachedNames, findSnapshot, removeRepository, repository, WEIGHTS } from './models/cache.js';
import { hubCache } from './models/environment.js';
import { FINAL_CHECKPOINT, familyOf, looksLikeNnunet } from './models/family.js';
import { checkClipConfig, kindOf, type ModelKind } from './models/kind.js';
import { checkManifest } from './models/manifest.js';
import { isHubName } from './models/names.js';
import { isRun, modelsOfRun } from './models/run.js';
import { type VerifiedFile, verifySnapshot, verifyWeights } from './models/verify.js';
import type { ClassModelInfo as ClassModel, NetworkInfo } from './native/binding.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

export { type PulledModel, type PullOptions, pullModel } from './models/pull.js';
export type { ModelKind, VerifiedFile };

/** Name of the model that comes with the package. */
export const DEFAULT_MODEL = 'tiny';

/** Native code reads nothing in Electron's archives, so there the models are taken from beside the archive. */
const root = fileURLToPath(new URL('../models/', import.meta.url)).replace(/\.asar(?=[\\/])/, '.asar.unpacked');

/** A model on this machine. */
export interface ListedModel {
  /** What to call it by: `tiny`, or `owner/name`. */
  name: string;
  /** `pulmoav` (a network with its plan) or `clip` (a text model). */
  kind: ModelKind;
  /** With the package, or in Hugging Face's cache. */
  source: 'bundled' | 'cache';
  /** Its directory. */
  path: string;
}

/** What a directory with a network and its plan holds. */
export interface ModelInfo extends NetworkInfo {
  kind: 'pulmoav';
  /** Its directory. */
  path: string;
  /** For a model of the cache: its files, each with the hash that was checked. */
  files?: VerifiedFile[];
}

/** What a directory with a network that answers with classes holds: nnU-Net's folder, or a model made of one. */
export interface ClassesInfo extends ClassModel {
  kind: 'classes';
  /** Its directory. */
  path: string;
  /** For a model of the cache: its files, each with the hash that was checked. */
  files?: VerifiedFile[];
}

/** What a directory with a CLIP text model holds. */
export interface TextModelInfo {
  kind: 'clip';
  /** As it was asked for. */
  name: string;
  /** Its directory. */
  path: string;
  /** Tensors in its weights, those of the image side included. */
  tensors: number;
  /** For a model of the cache: its files, each with the hash that was checked. */
  files?: VerifiedFile[];
}

/** Whether a folder is that of a model or of a run: what is wrong with it is told where it is read. */
export function looksLikeModel(folder: string): boolean {
  const isModels = (name: string) => /^(best|latest|fold_.+|config\.json|plan\.json)$/.test(name) || name === WEIGHTS;
  return looksLikeNnunet(folder) || readdirSync(folder).some(isModels);
}

/** The directory of the bundled model. */
export function bundledModel(): string {
  return join(root, DEFAULT_MODEL);
}

/** The models on this machine: bundled ones, then whole ones of Hugging Face's cache that can be used here. */
export function listModels(): ListedModel[] {
  const bundled = bundledNames().map((name): ListedModel => {
    return { name, kind: 'pulmoav', source: 'bundled', path: join(root, name) };
  });
  const cache = hubCache();
  const pulled = cachedNames(cache).flatMap((name): ListedModel[] => {
    const path = findSnapshot(cache, name)?.path;
    const kind = path && kindOf(path);
    return path && kind ? [{ name, kind, source: 'cache', path }] : [];
  });
  return [...bundled, ...pulled];
}

/**
 * The directory of a model given by name (`tiny`, or `owner/name` for a pulled one) or by path: its own directory, or a
 * run's, which has it in `best` or `latest`.
 *
 * @throws ModelError where there is none, or several
 */
export function findModel(model: string = DEFAULT_MODEL): string {
  const [first = '', ...others] = findModels(model);
  if (others.length === 0) return first;
  throw new ModelError('ERR_MODEL', `"${model}" holds the models of ${others.length + 1} folds.`, {
    hint: `Name one of them: ${first}`,
  });
}

/** As {@link findModel}; a run of several folds has a model for each. */
function findModels(model: string): string[] {
  checkPath('The model', model);
  if (isBundled(model)) return [join(root, model)];
  if (existsSync(join(model, WEIGHTS))) return [model];
  const ofRun = modelsOfRun(model);
  if (ofRun.length > 0) return ofRun;
  const pulled = isHubName(model) ? findSnapshot(hubCache(), model)?.path : undefined;
  if (pulled) return [pulled];
  if (looksLikeNnunet(model)) return [model];
  if (existsSync(model)) {
    if (isRun(model)) {
      throw new ModelError('ERR_MODEL', `The run "${model}" has no model yet.`, {
        hint: 'A run keeps its first one at its first checkpoint; wait for it, or go on with "pulmoav train --resume".',
      });
    }
    const found = statSync(model).isDirectory() ? 'a folder' : 'a file';
    throw unknown(`"${model}" is ${found}, but not a model directory: it has no ${WEIGHTS}.`);
  }
  if (!isHubName(model)) throw unknown(`There is no model "${model}".`);
  const started = existsSync(repository(hubCache(), model));
  throw new ModelError('ERR_MODEL', `The model "${model}" is ${started ? 'not whole' : 'not'} on this machine.`, {
    hint: `Run "pulmoav models pull ${model}".`,
  });
}

/**
 * The directories of a model that can segment, given as to {@link findModel}: several where it is a run of folds, which
 * answer together.
 *
 * @throws ModelError where there is none, or where it is a text model
 */
export function findNetworks(model: string = DEFAULT_MODEL): string[] {
  const paths = findModels(model);
  if (paths.every((path) => kindOf(path) !== 'clip')) return paths;
  throw new ModelError('ERR_MODEL', `"${model}" is a text model: it encodes words, but finds nothing in a scan.`, {
    hint: 'Without --model the bundled one is used.',
  });
}

/**
 * Checks a model and says what it is: a network is loaded once, so whatever is wrong with it is found; weights of a
 * text model must be whole; and what was pulled must still have the hashes it was pulled with.
 *
 * @throws ModelError, FormatError, IoError
 */
export async function verifyModel(
  model?: string,
  options: CallOptions = {},
): Promise<ModelInfo | ClassesInfo | TextModelInfo> {
  const path = findModel(model);
  const pulled = model !== undefined && isHubName(model) && findSnapshot(hubCache(), model)?.path === path;
  const files = pulled ? { files: await verifySnapshot(path, options) } : {};
  const family = familyOf(path);
  if (family !== 'prompts') {
    const source = { directory: path, foreign: family === 'nnunet', folds: null, checkpoint: FINAL_CHECKPOINT };
    return { kind: 'classes', path, ...(await call(options, () => addon().inspectClassModel(source))), ...files };
  }
  if (kindOf(path) !== 'pulmoav') {
    const name = model ?? DEFAULT_MODEL;
    await checkClipConfig(join(path, 'config.json'), name);
    const { tensors } = await verifyWeights(join(path, WEIGHTS));
    if (!tensors.includes(TOKENS)) {
      throw new FormatError('ERR_FORMAT', `"${name}" holds no text model: its weights have no ${TOKENS}.`);
    }
    return { kind: 'clip', name, path, tensors: tensors.length, ...files };
  }
  await checkManifest(path);
  const network = await call(options, () => addon().verifyModel(path));
  return { kind: 'pulmoav', path, ...network, ...files };
}

/** A tensor that every CLIP text model has. */
const TOKENS = 'text_model.embeddings.token_embedding.weight';

/**
 * Deletes all that Hugging Face's cache has of a model, every revision and what other programs put there included, and
 * says what that was.
 *
 * @throws UsageError for what is not in the cache's keeping; ModelError where there is none; IoError
 */
export async function removeModel(name: string): Promise<{ name: string; path: string; bytes: number }> {
  checkPath('The model', name);
  if (isBundled(name)) {
    throw new UsageError(`"${name}" comes with the package and stays: models that were pulled can be removed.`);
  }
  if (!isHubName(name)) {
    throw new UsageError(`"${name}" is no name of a pulled model, such as openai/clip-vit-base-patch32.`, {
      hint: 'A model directory of your own is yours to delete.',
    });
  }
  const cache = hubCache();
  const path = repository(cache, name);
  if (!existsSync(path)) {
    throw new ModelError('ERR_MODEL', `The model "${name}" is not on this machine.`, {
      hint: '"pulmoav models list" says which are.',
    });
  }
  return { name, path, bytes: await removeRepository(cache, name) };
}

function bundledNames(): string[] {
  return existsSync(root) ? readdirSync(root).filter(isBundled) : [];
}

function isBundled(model: string): boolean {
  return basename(model) === model && existsSync(join(root, model, WEIGHTS));
}

function unknown(found: string): ModelError {
  const known = listModels().map(({ name }) => name);
  return new ModelError('ERR_MODEL', `${found} Give a directory, or one of: ${known.join(', ') || '(none)'}.`, {
    hint: '"pulmoav models pull OWNER/NAME" brings one of the Hugging Face hub.',
  });
}
