import { randomBytes } from 'node:crypto';
import { constants, existsSync, realpathSync, statSync } from 'node:fs';
import { access, link, mkdir, open, readFile, realpath, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { FormatError, IoError, UsageError, unreadable } from './errors.js';

/**
 * Replaces a file in one step: a reader sees the old content or the new, also after a power cut. A link stays, what it
 * points to is replaced; the new file has the mode of the old one.
 *
 * @throws IoError
 */
export async function writeAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const temporary = join(dirname(target), `.${randomBytes(6).toString('hex')}.part`);
  try {
    const replaced = await stat(target).catch(() => null);
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(content);
      if (replaced) await file.chmod(replaced.mode & 0o7777);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new IoError('ERR_IO', `"${path}" could not be written: ${(error as Error).message}.`, { cause: error });
  }
}

/** Endings of the files that hold volumes, by which a folder is searched for them. */
export const VOLUME_ENDING = /\.(nii|nii\.gz|hdr|hdr\.gz|nrrd|nhdr|mha|mhd)$/i;

/** Where a path leads: links are followed, also of the folder of a file that is not there yet. */
export function placeOf(path: string): string {
  const real = (path: string) => {
    try {
      return realpathSync(path);
    } catch {
      return null;
    }
  };
  const folder = real(dirname(path));
  return real(path) ?? (folder ? join(folder, basename(path)) : resolve(path));
}

/** Whether two paths lead to one file: by names, links, or hard links, which are one file under two names. */
export function isSamePlace(a: string, b: string): boolean {
  const [one, other] = [identityOf(a), identityOf(b)];
  return one !== null && other !== null ? one === other : placeOf(a) === placeOf(b);
}

/** What tells a file from every other, whatever its names; `null` where there is none. */
function identityOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}

/**
 * Refuses an output that would replace an input, or another output, by whatever links or names.
 *
 * @throws UsageError
 */
export function refuseSamePlace(output: string, others: string[]): void {
  const other = others.find((other) => isSamePlace(output, other));
  if (other !== undefined) {
    throw new UsageError(`Writing "${output}" would replace "${other}", which is needed.`, {
      hint: 'Choose another name.',
    });
  }
}

/**
 * Refuses an output that is there already.
 *
 * @throws UsageError
 */
export function refuseOld(output: string): void {
  if (!existsSync(output)) return;
  throw new UsageError(`"${output}" is there already.`, { hint: 'Choose another name, or add --overwrite.' });
}

const WRONG_WITH_FOLDERS: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'does not let files be made in it',
};

/**
 * Refuses an output whose folder is missing or cannot be written to, before work starts that would be lost.
 *
 * @throws IoError
 */
export async function refuseMissingFolder(output: string): Promise<void> {
  const place = dirname(placeOf(output));
  try {
    await access(place, constants.W_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const wrong = WRONG_WITH_FOLDERS[code ?? ''] ?? message;
    throw new IoError('ERR_IO', `"${output}" cannot be written: the folder "${place}" ${wrong}.`, { cause: error });
  }
}

/** Locks that this process holds: a file with its number that is not among them is from before a restart. */
const held = new Set<string>();

/**
 * Runs `work` while nobody else does so in this folder; a lock that a killed process left behind does not count.
 *
 * @throws IoError, UsageError while another process holds the folder
 */
export async function withLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const file = join(placeOf(folder), '.pulmoav.lock');
  try {
    await lock(file);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new IoError('ERR_IO', `"${folder}" could not be locked: ${(error as Error).message}.`, { cause: error });
  }
  held.add(file);
  try {
    return await work();
  } finally {
    held.delete(file);
    await rm(file, { force: true });
  }
}

/** The lock appears with its holder's number in it, or not at all. */
async function lock(file: string): Promise<void> {
  const mine = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(mine, String(process.pid), { flag: 'wx' });
  try {
    await link(mine, file).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      await clearStale(file);
      await link(mine, file).catch((again: NodeJS.ErrnoException) => {
        throw again.code === 'EEXIST' ? busy(file) : again;
      });
    });
  } finally {
    await rm(mine, { force: true });
  }
}

/** Takes a dead process's lock away; only one of those who try gets it, and a living one is put back. */
async function clearStale(file: string): Promise<void> {
  if (isAlive(file, await readFile(file, 'utf8').catch(() => ''))) throw busy(file);
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  await rename(file, aside).catch(() => {});
  const taken = await readFile(aside, 'utf8').catch(() => '');
  if (isAlive(file, taken)) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

function busy(file: string): UsageError {
  return new UsageError(`Another process is adding to "${dirname(file)}".`, {
    hint: `Wait for it, choose another folder, or remove "${file}" if no such process runs.`,
  });
}

function isAlive(file: string, holder: string): boolean {
  const pid = Number(holder);
  if (pid === process.pid) return held.has(file);
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Makes a folder for what `work` writes into it, and takes it away again where that failed and left it empty.
 *
 * @throws IoError, and what `work` throws
 */
export async function inFolder<T>(path: string, work: () => Promise<T>): Promise<T> {
  const made = await makeFolder(path);
  try {
    return await work();
  } catch (error) {
    // One that is not empty stays, and so do those above it.
    for (const folder of made.toReversed()) await rmdir(folder).catch(() => {});
    throw error;
  }
}

/**
 * Makes a folder and those above it, where they are missing; gives those that it made, the outermost first.
 *
 * @throws IoError
 */
export async function makeFolder(path: string): Promise<string[]> {
  try {
    return await makeFolders(resolve(path));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' || code === 'ENOTDIR' ? 'a file is in its place' : message;
    throw new IoError('ERR_IO', `The folder "${path}" could not be made: ${reason}.`, { cause: error });
  }
}

/** Node's own recursive `mkdir` never ends where a file system refuses new folders with ENOENT, as /proc does. */
async function makeFolders(path: string): Promise<string[]> {
  try {
    return await makeOne(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    return [...(await makeFolders(dirname(path))), ...(await makeOne(path))];
  }
}

/** Makes a folder whose parent is there; one that somebody else has made will do, and is not among those made. */
async function makeOne(path: string): Promise<string[]> {
  try {
    await mkdir(path);
    return [path];
  } catch (error) {
    if (!(await isFolder(path))) throw error;
    return [];
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/**
 * Replaces a folder by what `fill` writes into a fresh one beside it: after a failure or a cancellation the old one
 * stands as it was. A kill leaves whole folders too, at worst `.NAME.old` and `.NAME.new` between the two renames.
 *
 * @throws IoError, and what `fill` throws
 */
export async function replaceFolder<T>(path: string, fill: (fresh: string) => Promise<T>): Promise<T> {
  const place = resolve(path);
  const [fresh, old] = ['new', 'old'].map((state) => join(dirname(place), `.${basename(place)}.${state}`)) as [
    string,
    string,
  ];
  await makeFolder(dirname(place));
  try {
    await rm(fresh, { recursive: true, force: true });
    const result = await fill(fresh);
    await rm(old, { recursive: true, force: true });
    if (existsSync(place)) await rename(place, old);
    await rename(fresh, place);
    await rm(old, { recursive: true, force: true });
    return result;
  } catch (error) {
    if (existsSync(old) && !existsSync(place)) await rename(old, place);
    await rm(fresh, { recursive: true, force: true });
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw new IoError('ERR_IO', `"${path}" could not be written: ${error.message}.`, { cause: error });
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
    throw unreadable(path, error);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError('ERR_FORMAT', `"${path}" is no JSON: ${(error as Error).message}.`, { cause: error });
  }
}
