import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hub as defaults, sideRevisions } from '../config/hub.js';
import { FormatError, IoError, ModelError } from '../errors.js';
import { makeFolder } from '../files.js';
import { CALL_OPTIONS, checkOptions, integer, type Kinds, SWITCH, TEXT } from '../options.js';
import type { CallOptions, Warning } from '../types.js';
import { blobPath, findSnapshot, place, snapshotPath, WEIGHTS, writeReference } from './cache.js';
import { download, incomplete } from './download.js';
import { hubCache, isOffline } from './environment.js';
import { hashOf } from './hash.js';
import type { Hub, HubFile } from './hub.js';
import { checkClipConfig, kindOf, type ModelKind } from './kind.js';
import { checkHubName, checkRevision } from './names.js';
import { type Report, Reporter } from './reporter.js';

/** Options of {@link pullModel}. */
export interface PullOptions extends CallOptions {
  /** Branch, tag, `refs/pr/N` or commit. @default 'main' */
  revision?: string | undefined;
  /** Take what the cache has, and never use the network. @default what HF_HUB_OFFLINE says */
  offline?: boolean | undefined;
  /** Silence after which a transfer counts as broken, ms. @default 30000 */
  timeoutMs?: number | undefined;
  /** Further tries of a transfer that breaks off. @default 4 */
  retries?: number | undefined;
}

/** A model that is now in the cache. */
export interface PulledModel {
  /** `owner/name`. */
  name: string;
  /** `pulmoav` (a network with its plan) or `clip` (a text model). */
  kind: ModelKind;
  /** The directory, for `model` and `textModel`. */
  path: string;
  /** The revision that was taken. */
  revision: string;
  /** Its commit. */
  commit: string;
  /** What was downloaded now, bytes; 0 where all of it was there. */
  downloadedBytes: number;
  /** `SIDE_REVISION` where the asked revision has no weights and a known other one was taken. */
  warnings: Warning[];
}

const OPTIONS: Kinds<PullOptions> = {
  ...CALL_OPTIONS,
  revision: TEXT,
  offline: SWITCH,
  timeoutMs: integer(1, 2 ** 31 - 1),
  retries: integer(0, 100),
};

/**
 * Brings a model of the Hugging Face hub into Hugging Face's cache, or goes on where an earlier call stopped. Every
 * file's hash is checked before it gets its name. The environment's HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN,
 * HF_HUB_OFFLINE, HTTP_PROXY, HTTPS_PROXY and NO_PROXY are heeded.
 *
 * @example
 * const { path } = await pullModel('openai/clip-vit-base-patch32');
 *
 * @throws UsageError; ModelError where there is none; IoError where network or disk fail; FormatError where what came
 * is not what was named; ConfigError where the environment's addresses are none; `signal.reason` when cancelled
 */
export async function pullModel(name: string, options: PullOptions = {}): Promise<PulledModel> {
  checkOptions(options, OPTIONS);
  const { revision = defaults.revision, signal, timeoutMs = defaults.timeoutMs, retries = defaults.retries } = options;
  checkHubName(name);
  checkRevision(revision);
  signal?.throwIfAborted();
  if (options.offline ?? isOffline()) return pulledBefore(name, revision);
  // Its HTTP client takes longer to load than all the rest, and only a pull needs it.
  const { Hub } = await import('./hub.js');
  const hub = new Hub({ timeoutMs, retries, signal });
  try {
    return await pull(hub, name, revision, new Reporter(options.onProgress));
  } finally {
    await hub.close();
  }
}

async function pull(hub: Hub, name: string, asked: string, reporter: Reporter): Promise<PulledModel> {
  const cache = hubCache();
  const { files, revision, commit } = await locate(hub, name, asked);
  reporter.expect(files);
  const path = snapshotPath(cache, name, commit);
  let downloadedBytes = 0;
  for (const file of files) {
    const blob = blobPath(cache, name, file.hash);
    const report = reporter.of(file);
    if (!(await isThere(blob, file, hub.patience.signal, report))) {
      await checkRoom(blob, file);
      await download(hub, file, blob, report);
      downloadedBytes += file.bytes;
    }
    if (file.name === 'config.json') await checkClipConfig(blob, name);
    await place(blob, path, file.name);
  }
  await writeReference(cache, name, revision, commit);
  reporter.done();
  const warnings = sideRevisionWarning(name, asked, revision);
  return { name, kind: kindOf(path) ?? 'clip', path, revision, commit, downloadedBytes, warnings };
}

/** The files to bring, weights last, and the revision that has them. */
async function locate(hub: Hub, name: string, asked: string) {
  let revision = asked;
  let weights = await hub.look(name, revision, WEIGHTS);
  const side = sideRevisions[name];
  if (!weights && side) {
    revision = side;
    weights = await hub.look(name, revision, WEIGHTS);
  }
  if (!weights) {
    throw new ModelError('ERR_MODEL', `"${name}" has no ${WEIGHTS} at revision ${asked}.`, {
      hint: 'Name another with --revision; weights in other formats are not read.',
    });
  }
  const { commit } = weights;
  const files = [...(await describing(hub, name, commit)), weights];
  const stray = files.find((file) => file.commit !== commit);
  if (stray) {
    throw new FormatError(
      'ERR_FORMAT',
      `${stray.url.host} gave ${stray.name} of commit ${stray.commit}, not ${commit}.`,
    );
  }
  return { files, revision, commit };
}

/** What says how to read the weights: a plan, and a card where there is one; else the config of a text model. */
async function describing(hub: Hub, name: string, commit: string): Promise<HubFile[]> {
  const plan = await hub.look(name, commit, 'plan.json');
  const beside = await hub.look(name, commit, plan ? 'card.md' : 'config.json');
  const files = [beside, plan].filter((file) => file !== undefined);
  if (files.length > 0) return files;
  throw new ModelError('ERR_MODEL', `"${name}" has neither plan.json nor config.json: its weights cannot be read.`);
}

function pulledBefore(name: string, asked: string): PulledModel {
  const found = findSnapshot(hubCache(), name, asked);
  if (!found) {
    throw new ModelError('ERR_MODEL', `"${name}" at revision ${asked} is not in the cache, and the network is off.`, {
      hint: `Run "pulmoav models pull ${name}" without --offline and HF_HUB_OFFLINE.`,
    });
  }
  const warnings = sideRevisionWarning(name, asked, found.revision);
  return { name, kind: kindOf(found.path) ?? 'clip', ...found, downloadedBytes: 0, warnings };
}

function sideRevisionWarning(name: string, asked: string, taken: string): Warning[] {
  if (taken === asked) return [];
  const message = `${name} has no ${WEIGHTS} at revision ${asked}; ${taken} was taken, which has it.`;
  return [{ code: 'SIDE_REVISION', message }];
}

async function isThere(blob: string, file: HubFile, signal: AbortSignal | undefined, report: Report): Promise<boolean> {
  try {
    return (await hashOf(blob, file.hash, { signal, onBytes: (bytes) => report('verify', bytes) })) === file.hash;
  } catch (error) {
    if (error instanceof IoError) return false;
    throw error;
  }
}

/** @throws IoError where the disk cannot hold what is still to come. */
async function checkRoom(blob: string, file: HubFile): Promise<void> {
  const { size: here } = await stat(incomplete(blob)).catch(() => ({ size: 0 }));
  await makeFolder(dirname(blob));
  const disk = await statfs(dirname(blob)).catch(() => undefined);
  const free = disk ? disk.bavail * disk.bsize : Number.POSITIVE_INFINITY;
  if (file.bytes - here <= free) return;
  throw new IoError(
    'ERR_IO',
    `${file.name} needs ${file.bytes - here} bytes, but "${dirname(blob)}" has ${free} left.`,
    {
      hint: 'Free some space, or name another folder by HF_HOME.',
    },
  );
}
