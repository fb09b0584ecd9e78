import { existsSync, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { FormatError, ModelError, unreadable } from '../errors.js';
import type { CallOptions } from '../types.js';
import { type HashOptions, hashOf, isHash } from './hash.js';
import { Reporter } from './reporter.js';

/** A file of a model, and what is known of its content. */
export interface VerifiedFile {
  name: string;
  bytes: number;
  /** The hash that its content was found to have, hex; `null` where nothing says what it should be. */
  hash: string | null;
}

/**
 * Checks the files of a snapshot against the hashes that their blobs are named by.
 *
 * @throws ModelError where one is damaged; IoError
 */
export async function verifySnapshot(path: string, options: CallOptions = {}): Promise<VerifiedFile[]> {
  const reporter = new Reporter(options.onProgress);
  const entries = readdirSync(path)
    .filter((name) => !name.startsWith('.'))
    .sort()
    .map((name) => ({ name, bytes: statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0 }));
  reporter.expect(entries);
  const files: VerifiedFile[] = [];
  for (const entry of entries) {
    const report = reporter.of(entry);
    const onBytes = (bytes: number) => report('verify', bytes);
    const hash = await checkedHash(join(path, entry.name), { signal: options.signal, onBytes });
    files.push({ ...entry, hash });
  }
  reporter.done();
  return files;
}

/**
 * Checks that a safetensors file is whole, and that its header speaks of the file's own bytes.
 *
 * @throws FormatError, IoError
 */
export async function verifyWeights(path: string): Promise<{ tensors: string[] }> {
  const damaged = (problem: string) => new FormatError('ERR_FORMAT', `"${path}" is damaged: ${problem}.`);
  const file = await open(path).catch((error) => {
    throw unreadable(path, error);
  });
  try {
    const { size } = await file.stat();
    const prefix = Buffer.alloc(8);
    if ((await file.read(prefix, 0, 8, 0)).bytesRead < 8) throw damaged('it has no header');
    const length = Number(prefix.readBigUInt64LE());
    if (length > Math.min(size - 8, MAX_HEADER_BYTES)) throw damaged('its header is longer than the file');
    const text = Buffer.alloc(length);
    await file.read(text, 0, length, 8);
    const { __metadata__: _, ...tensors } = parsed(text, damaged);
    const end = Math.max(0, ...Object.values(tensors).map(endOf));
    if (end !== size - 8 - length) throw damaged(`its tensors end at ${end} of ${size - 8 - length} bytes`);
    return { tensors: Object.keys(tensors) };
  } finally {
    await file.close();
  }
}

const MAX_HEADER_BYTES = 100 << 20;

function parsed(text: Buffer, damaged: (problem: string) => FormatError) {
  try {
    return header.parse(JSON.parse(text.toString('utf8')));
  } catch {
    throw damaged('its header is no JSON');
  }
}

/** A safetensors header: tensors by name, and what is said of the file. */
const header = z.record(z.string(), z.unknown());
const tensor = z.object({ data_offsets: z.tuple([z.number(), z.number()]) });

/** Where a tensor's bytes end; not a number where its header does not say. */
function endOf(described: unknown): number {
  return tensor.safeParse(described).data?.data_offsets[1] ?? Number.NaN;
}

/** The hash of a file, checked against the blob that it is; `null` where it is none. */
async function checkedHash(path: string, options: HashOptions): Promise<string | null> {
  const cure = { hint: 'Run "pulmoav models pull" for it again: that replaces what is damaged.' };
  if (!existsSync(path)) throw new ModelError('ERR_MODEL', `"${path}" leads to a file that is missing.`, cure);
  const expected = namesOf(path);
  for (const kind of new Set(expected.map(({ length }) => length))) {
    const hash = await hashOf(path, expected.find(({ length }) => length === kind) ?? '', options);
    if (expected.includes(hash)) return hash;
  }
  if (expected.length === 0) return null;
  throw new ModelError(
    'ERR_MODEL',
    `"${path}" is damaged: its content does not have the hash it was pulled with.`,
    cure,
  );
}

/** The hashes that a file may have: its blob's name where it is a link, else the names of all blobs of its model. */
function namesOf(path: string): string[] {
  if (lstatSync(path).isSymbolicLink()) return [basename(realpathSync(path))].filter(isHash);
  const blobs = join(path, '..', '..', '..', 'blobs');
  if (!existsSync(blobs)) return [];
  return readdirSync(blobs).filter(isHash);
}
