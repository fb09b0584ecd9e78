import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { IoError } from './errors.js';

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
