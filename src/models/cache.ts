import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { copyFile, link, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { hub, sideRevisions } from '../config/hub.js';
import { IoError } from '../errors.js';
import { makeFolder, writeAtomic } from '../files.js';
import { isCommit, isHubName } from './names.js';

/** Weights: the one file every model has, put in place last. */
export const WEIGHTS = 'model.safetensors';

/** A revision of a model as it lies in the cache. */
export interface Snapshot {
  /** The revision by which it was found: a name, or the commit where no name leads to it. */
  revision: string;
  /** The commit. */
  commit: string;
  /** The folder with the model's files. */
  path: string;
}

/** A model's folder in the cache: `models--owner--name`. */
export function repository(cache: string, name: string): string {
  return join(cache, `models--${name.replace('/', '--')}`);
}

/** Names of all models in the cache, whole or not. */
export function cachedNames(cache: string): string[] {
  return folders(cache)
    .map((folder) => /^models--(.+?)--(.+)$/.exec(folder))
    .map((parts) => `${parts?.[1]}/${parts?.[2]}`)
    .filter((name) => isHubName(name) && existsSync(repository(cache, name)))
    .sort();
}

/**
 * A whole snapshot of a model: that of the revision, where one is given; else that of `main`, of the model's side
 * revision, or the newest of any.
 */
export function findSnapshot(cache: string, name: string, revision?: string): Snapshot | undefined {
  const folder = repository(cache, name);
  const wanted = [revision ?? hub.revision, sideRevisions[name]].filter((one) => one !== undefined);
  if (revision === undefined) wanted.push(...newestFirst(join(folder, 'snapshots')));
  for (const one of wanted) {
    const commit = commitOf(folder, one);
    const path = commit && snapshotPath(cache, name, commit);
    if (commit && path && isWhole(path)) return { revision: one, commit, path };
  }
  return undefined;
}

/** Where the files of a commit lie. */
export function snapshotPath(cache: string, name: string, commit: string): string {
  return join(repository(cache, name), 'snapshots', commit);
}

/** Whether a folder holds weights and what says how to read them; a dangling link is not there. */
export function isWhole(path: string): boolean {
  return existsSync(join(path, WEIGHTS)) && ['config.json', 'plan.json'].some((name) => existsSync(join(path, name)));
}

/**
 * Deletes all that the cache has of a model, what leads to it first, and says how many bytes that were.
 *
 * @throws IoError
 */
export async function removeRepository(cache: string, name: string): Promise<number> {
  const folder = repository(cache, name);
  try {
    const sizes = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((file) => lstatSync(join(folder, file)))
      .map((entry) => (entry.isFile() ? entry.size / entry.nlink : 0));
    for (const part of ['refs', 'snapshots', '.']) await rm(join(folder, part), { recursive: true, force: true });
    await rm(join(cache, '.locks', basename(folder)), { recursive: true, force: true });
    return Math.round(sizes.reduce((sum, size) => sum + size, 0));
  } catch (error) {
    throw new IoError('ERR_IO', `"${folder}" could not be deleted: ${(error as Error).message}.`, { cause: error });
  }
}

/** Where a blob of this hash lies. */
export function blobPath(cache: string, name: string, hash: string): string {
  return join(repository(cache, name), 'blobs', hash);
}

/**
 * Puts a blob into a snapshot under a file's name: a link, or where this disk has none a copy.
 *
 * @throws IoError
 */
export async function place(blob: string, snapshot: string, name: string): Promise<void> {
  const path = join(snapshot, name);
  if (pointsTo(path, blob)) return;
  await makeFolder(snapshot);
  const temporary = join(snapshot, `.${name}.${process.pid}.part`);
  try {
    await rm(temporary, { force: true });
    await linkOrCopy(blob, temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw new IoError('ERR_IO', `"${path}" could not be written: ${(error as Error).message}.`, { cause: error });
  }
}

/**
 * Writes down which commit a revision is; a commit needs no such note.
 *
 * @throws IoError
 */
export async function writeReference(cache: string, name: string, revision: string, commit: string): Promise<void> {
  if (isCommit(revision)) return;
  const path = join(repository(cache, name), 'refs', revision);
  await makeFolder(dirname(path));
  await writeAtomic(path, commit);
}

/** Symbolic links need a right on Windows that few have; a second name for the same bytes costs no disk either. */
async function linkOrCopy(blob: string, path: string): Promise<void> {
  try {
    return await symlink(relative(dirname(path), blob), path);
  } catch {
    try {
      return await link(blob, path);
    } catch {
      return await copyFile(blob, path);
    }
  }
}

function pointsTo(path: string, blob: string): boolean {
  try {
    if (realpathSync(path) === realpathSync(blob)) return true;
    const [ours, theirs] = [statSync(path), statSync(blob)];
    return ours.ino === theirs.ino && ours.dev === theirs.dev && ours.ino !== 0;
  } catch {
    return false;
  }
}

function commitOf(folder: string, revision: string): string | undefined {
  if (isCommit(revision)) return revision;
  try {
    const commit = readFileSync(join(folder, 'refs', revision), 'utf8').trim();
    return isCommit(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

function newestFirst(snapshots: string): string[] {
  const age = (name: string) => statSync(join(snapshots, name)).mtimeMs;
  return folders(snapshots)
    .filter(isCommit)
    .sort((a, b) => age(b) - age(a));
}

function folders(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
