import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FormatError, IoError } from './errors.js';

/**
 * Replaces a file in one step: a reader sees the old content or the new, also after a power cut.
 *
 * @throws IoError
 */
export async function writeAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.part`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new IoError('ERR_IO', `"${path}" could not be written: ${(error as Error).message}.`, { cause: error });
  }
}

/**
 * Makes a folder and those above it, where they are missing.
 *
 * @throws IoError
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw new IoError('ERR_IO', `The folder "${path}" could not be made: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

/**
 * Reads a JSON file.
 *
 * @throws IoError, FormatError
 */
export async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new IoError('ERR_IO', `"${path}" could not be read: ${(error as Error).message}.`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError('ERR_FORMAT', `"${path}" is no JSON: ${(error as Error).message}.`, { cause: error });
  }
}
