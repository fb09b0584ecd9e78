import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { unreadable } from './errors.js';
import { writeAtomic } from './files.js';
import { version } from './native/load.js';

/** A file as it was used. */
export interface FileRecord {
  path: string;
  bytes: number;
  /** SHA-256 of its content, in hexadecimal digits. */
  sha256: string;
}

/** What decides which labels a scan gets: equal settings and equal content give equal labels. */
export interface LabelSource {
  /** The version of this package. */
  version: string;
  /** SHA-256 of every file of the model, together. */
  model: string;
  /** SHA-256 of each scan's content. */
  inputs: string[];
  /** The options that were given. */
  options: Record<string, unknown>;
}

/** What is said in every record. */
const PURPOSE = 'Research use only: not a medical device.';

/** What a model's answers depend on. */
const MODEL_FILES = /(^|[\\/])(model\.safetensors|plan\.json|plans\.json|dataset\.json|config\.json|[^\\/]+\.pth)$/;

/** The record beside a result: `chest.run.json` beside `chest.nii.gz`. */
export function recordPath(output: string): string {
  return `${output.replace(/\.(nii(\.gz)?|(seg\.)?(nrrd|dcm)|mha)$/i, '')}.run.json`;
}

/**
 * A file's size and hash, read piece by piece.
 *
 * @throws IoError
 */
export async function fileRecord(path: string, signal?: AbortSignal): Promise<FileRecord> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, ...(signal ? { signal } : {}) })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw unreadable(path, error);
  }
  return { path, bytes, sha256: hash.digest('hex') };
}

/**
 * A scan's size and hash: of a folder, those of all files in it, by name.
 *
 * @throws IoError
 */
export async function inputRecord(path: string, signal?: AbortSignal): Promise<FileRecord> {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return await fileRecord(path, signal);
  const hash = createHash('sha256');
  let bytes = 0;
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  for (const name of names.filter((name) => statSync(join(path, name)).isFile())) {
    const file = await fileRecord(join(path, name), signal);
    bytes += file.bytes;
    hash.update(`${name.replaceAll('\\', '/')}\0${file.sha256}\n`);
  }
  return { path, bytes, sha256: hash.digest('hex') };
}

/**
 * One hash over all files of models that their answers depend on.
 *
 * @throws IoError
 */
export async function modelHash(directories: string[], signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for (const directory of directories) {
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    const files = names.filter((name) => MODEL_FILES.test(name) && statSync(join(directory, name)).isFile()).sort();
    for (const name of files) {
      const { sha256 } = await fileRecord(join(directory, name), signal);
      hash.update(`${name.replaceAll('\\', '/')}\0${sha256}\n`);
    }
  }
  return hash.digest('hex');
}

/** What decides about the labels, as a record has it. */
export function labelSource(model: string, inputs: FileRecord[], options: object): LabelSource {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return {
    version: version(),
    model,
    inputs: inputs.map(({ sha256 }) => sha256),
    options: Object.fromEntries(given.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/**
 * Writes a record beside a result.
 *
 * @throws IoError
 */
export async function writeRecord(
  output: string,
  record: { source: LabelSource; output: FileRecord } & Record<string, unknown>,
): Promise<void> {
  const head = { schemaVersion: 1, purpose: PURPOSE, finished: new Date().toISOString() };
  const machine = { node: process.version, platform: `${process.platform} ${process.arch}` };
  await writeAtomic(recordPath(output), `${JSON.stringify({ ...head, ...machine, ...record }, null, 2)}\n`);
}

const written = z.object({
  output: z.object({ bytes: z.number(), sha256: z.string() }),
  source: z.object({
    version: z.string(),
    model: z.string(),
    inputs: z.array(z.string()),
    options: z.record(z.string(), z.unknown()),
  }),
});

/** Whether a result is there, whole, and made of the same things: what nobody has to make again. */
export async function isMade(output: string, source: LabelSource): Promise<boolean> {
  const text = await readFile(recordPath(output), 'utf8').catch(() => null);
  if (text === null) return false;
  const record = written.safeParse(parsed(text));
  if (!record.success || JSON.stringify(record.data.source) !== JSON.stringify(source)) return false;
  const found = await fileRecord(output).catch(() => null);
  return found?.sha256 === record.data.output.sha256;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
