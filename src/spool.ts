import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { IoError } from './errors.js';

/** Bytes of a file: all at once, or as they come. */
export type FileBytes = Uint8Array | AsyncIterable<Uint8Array>;

/** Whether a value is bytes of a file. */
export function isFileBytes(value: unknown): value is FileBytes {
  if (value instanceof Uint8Array) return true;
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/**
 * Runs `work` on a file that holds these bytes, in a folder that this user alone can read; it is removed afterwards.
 * Bytes given all at once are copied before the call returns.
 *
 * @throws IoError, and what `work` throws
 */
export async function withFileOf<T>(
  bytes: FileBytes,
  signal: AbortSignal | undefined,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const copy = bytes instanceof Uint8Array ? [Buffer.from(bytes)] : bytes;
  return await withFolder(async (folder) => {
    const path = join(folder, 'scan');
    try {
      await pipeline(Readable.from(copy), createWriteStream(path), { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw new IoError('ERR_IO', `The scan could not be kept: ${(error as Error).message}.`, { cause: error });
    }
    return await work(path);
  });
}

/**
 * Runs `work` with a folder of its own, which is removed afterwards.
 *
 * @throws IoError, and what `work` throws
 */
export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  let folder: string;
  try {
    folder = await mkdtemp(join(tmpdir(), 'pulmoav-'));
  } catch (error) {
    throw new IoError('ERR_IO', `A temporary folder could not be made: ${(error as Error).message}.`, { cause: error });
  }
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
