import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FormatError, IoError, isPulmoavError } from '../errors.js';
import { type Answer, refuse } from './answer.js';
import { hashOf } from './hash.js';
import type { Hub, HubFile } from './hub.js';
import type { Report } from './reporter.js';
import { BrokenTransfer, persist } from './transfer.js';

/** Where a file lies until it is whole. */
export function incomplete(path: string): string {
  return `${path}.incomplete`;
}

/**
 * Brings a file to `path`. Until it is whole and its hash is right it lies in `path.incomplete`, where a later call
 * goes on.
 *
 * @throws IoError, FormatError
 */
export async function download(hub: Hub, file: HubFile, path: string, report: Report): Promise<void> {
  const partial = incomplete(path);
  const unlock = await lock(incomplete(`${path}.lock`), file.name);
  try {
    // What an earlier call left may be damaged: then once more, from nothing.
    const tries = (await bytesOf(partial)) > 0 ? 2 : 1;
    for (let rest = tries; rest > 0; rest--) {
      await persist(hub.patience, () => fetchRest(hub, file, partial, report));
      const onBytes = (bytes: number) => report('verify', bytes);
      const hash = await hashOf(partial, file.hash, { signal: hub.patience.signal, onBytes });
      if (hash === file.hash) return await rename(partial, path);
      await rm(partial);
    }
    throw new FormatError(
      'ERR_FORMAT',
      `${file.url.host} sent a ${file.name} whose hash is not the one it named; nothing of it was kept.`,
    );
  } catch (error) {
    throw named(error, path, hub.patience.signal);
  } finally {
    await unlock();
  }
}

/** Adds to `partial` what it lacks. */
async function fetchRest(hub: Hub, file: HubFile, partial: string, report: Report): Promise<void> {
  const handle = await open(partial, constants.O_RDWR | constants.O_CREAT);
  let start = 0;
  let at = 0;
  try {
    let here = (await handle.stat()).size;
    if (here === file.bytes) return;
    if (here > file.bytes) {
      await handle.truncate(0);
      here = 0;
    }
    const answer = await hub.fetch(file, here);
    try {
      start = await startOf(answer, file, here, handle);
      at = start;
      report('download', at);
      for await (const chunk of answer.chunks()) {
        if (at + chunk.length > file.bytes) throw tooLong(file);
        await writeAll(handle, chunk, at);
        at += chunk.length;
        report('download', at);
      }
    } finally {
      await answer.close();
    }
    if (at < file.bytes) throw new BrokenTransfer(`${file.url.host} sent ${at} of ${file.bytes} bytes of ${file.name}`);
    await handle.sync();
  } catch (error) {
    if (error instanceof BrokenTransfer) error.received = at - start;
    throw error;
  } finally {
    await handle.close();
  }
}

/** Where an answer's bytes belong: where we asked, or at the start, which then is all that the file keeps. */
async function startOf(answer: Answer, file: HubFile, asked: number, handle: FileHandle): Promise<number> {
  if (answer.status === 404) throw new IoError('ERR_IO', `${answer.url.host} named ${file.name}, but has it not.`);
  if (answer.status >= 400 && answer.status !== 416) refuse(answer);
  if (answer.header('content-type')?.startsWith('text/html')) {
    throw new FormatError('ERR_FORMAT', `${answer.url.host} sent a web page instead of ${file.name}.`, {
      hint: 'Does a login page stand in between?',
    });
  }
  if (answer.status === 200) {
    const length = answer.header('content-length');
    if (length !== undefined && Number(length) !== file.bytes) {
      throw new FormatError(
        'ERR_FORMAT',
        `${answer.url.host} sends ${length} bytes as ${file.name}, but named ${file.bytes}.`,
      );
    }
    if (asked > 0) await handle.truncate(0);
    return 0;
  }
  const range = `bytes ${asked}-${file.bytes - 1}/${file.bytes}`;
  if (answer.status === 206 && asked > 0 && answer.header('content-range') === range) return asked;
  await handle.truncate(0);
  throw new BrokenTransfer(`${answer.url.host} answered ${answer.status} with another part of ${file.name} than asked`);
}

function tooLong(file: HubFile): FormatError {
  return new FormatError('ERR_FORMAT', `${file.url.host} sent more than the ${file.bytes} bytes of ${file.name}.`);
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    done += (await handle.write(chunk, done, chunk.length - done, at + done)).bytesWritten;
  }
}

async function bytesOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Locks that this process holds. */
const held = new Set<string>();

/** Keeps two pulls from writing one file; a lock whose process is gone is void. */
async function lock(path: string, name: string): Promise<() => Promise<void>> {
  if (held.has(path)) throw busy(path, name);
  held.add(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    if (!(await claim(path))) {
      if (await isOwned(path)) throw busy(path, name);
      await rm(path, { force: true });
      if (!(await claim(path))) throw busy(path, name);
    }
  } catch (error) {
    held.delete(path);
    throw named(error, path);
  }
  return async () => {
    await rm(path, { force: true }).catch(() => {});
    held.delete(path);
  };
}

/** Writes who we are; false where someone did before. */
async function claim(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether a lock's process lives; ours is not the one, since `held` does not know of it. */
async function isOwned(path: string): Promise<boolean> {
  const owner = Number(await readFile(path, 'utf8').catch(() => ''));
  if (!(owner > 0) || owner === process.pid) return false;
  try {
    process.kill(owner, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function busy(path: string, name: string): IoError {
  const hint = `Wait for it. If there is none, delete "${path}".`;
  return new IoError('ERR_IO', `${name} is being downloaded by another pull.`, { hint });
}

/** An error of the file system, told as ours; others are what they are. */
function named(error: unknown, path: string, signal?: AbortSignal): unknown {
  if (isPulmoavError(error) || (signal?.aborted && error === signal.reason)) return error;
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (!syscall) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new IoError('ERR_IO', `The disk of "${dirname(path)}" is full.`, {
      cause: error,
      hint: 'Free some space, or name another folder by HF_HOME; then run the command again.',
    });
  }
  return new IoError('ERR_IO', `"${path}" could not be written: ${message}.`, { cause: error });
}
