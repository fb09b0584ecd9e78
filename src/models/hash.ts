import { createHash, type Hash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { unreadable } from '../errors.js';

/** Whether a text is a hash that names a blob: SHA-256 of large files, git's SHA-1 of small ones. */
export function isHash(text: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/**
 * A file's hash of the kind that `like` is: SHA-256 where that has 64 digits, else SHA-1 as git names a blob.
 *
 * @throws IoError
 */
export async function hashOf(path: string, like: string, options: HashOptions = {}): Promise<string> {
  try {
    const hash = like.length === 64 ? createHash('sha256') : gitHash(statSync(path).size);
    const count = counter(hash, options.onBytes);
    await pipeline(createReadStream(path, { highWaterMark: CHUNK }), count, { signal: options.signal } as object);
    return hash.digest('hex');
  } catch (error) {
    options.signal?.throwIfAborted();
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw unreadable(path, error);
  }
}

/** Options of {@link hashOf}. */
export interface HashOptions {
  /** Cancels it. */
  signal?: AbortSignal | undefined;
  /** Told how many bytes were read so far. */
  onBytes?: (bytes: number) => void;
}

const CHUNK = 1 << 20;

function gitHash(bytes: number): Hash {
  return createHash('sha1').update(`blob ${bytes}\0`);
}

function counter(hash: Hash, onBytes?: (bytes: number) => void) {
  return async (chunks: AsyncIterable<Buffer>) => {
    let bytes = 0;
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      onBytes?.(bytes);
    }
  };
}
