import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { DeviceError, IoError, UsageError } from '../errors.js';
import type { Trainer } from './trainer.js';

/** This process's place among several that train one network, a device each. */
export interface Ranks {
  /** From 0; the first has the loop, writes the run and validates. */
  rank: number;
  /** How many there are. */
  count: number;
  /** A name of their run, the same for all of them. */
  run: string;
}

/** How often a rank looks whether the first is ready, ms. */
const POLL_MS = 100;
/** How long it does so: the first prepares the data set meanwhile. */
const PATIENCE_MS = 4 * 3600 * 1000;
/** How long processes have to end by themselves once one has ended, ms. */
const GRACE_MS = 10_000;

/**
 * The place that the environment gives a process, and its device: torchrun's variables, or Slurm's.
 *
 * @throws {@link UsageError} where neither is complete
 */
export function ranksOfEnvironment(env: NodeJS.ProcessEnv = process.env): { ranks: Ranks; device: string } {
  const styles = [
    ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'TORCHELASTIC_RUN_ID'],
    ['SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_JOB_ID'],
  ] as const;
  for (const [rank, count, local, run] of styles) {
    const numbers = [rank, count, local].map((name) => Number.parseInt(env[name] ?? '', 10));
    const [mine, all, here] = numbers as [number, number, number];
    if (numbers.every((number) => number >= 0) && mine < all) {
      return { ranks: { rank: mine, count: all, run: env[run] ?? 'run' }, device: `cuda:${here}` };
    }
  }
  throw new UsageError(
    '--devices env was given, but the environment names no ranks; expected RANK, WORLD_SIZE and LOCAL_RANK, or those of srun.',
  );
}

/** The devices of a list: `cuda:0,cuda:1`. */
export function deviceList(text: string): string[] {
  const devices = text.split(',').map((device) => device.trim());
  const wrong = devices.find((device) => !/^cuda:\d+$/.test(device));
  if (wrong !== undefined || new Set(devices).size < devices.length) {
    throw new UsageError(`--devices is "${text}"; expected devices such as cuda:0,cuda:1, each once, or env.`);
  }
  return devices;
}

/** Joins the others: the first gives out what they join by, in a file of the run's folder. */
export async function joinRanks(trainer: Trainer, ranks: Ranks, out: string): Promise<void> {
  const file = rendezvous(out, ranks);
  if (ranks.rank > 0) return await trainer.join(await readFile(file), ranks.rank, ranks.count);
  const beside = `${file}.${process.pid}`;
  await writeFile(beside, trainer.identity());
  await rename(beside, file);
  try {
    await trainer.join(await readFile(file), 0, ranks.count);
  } finally {
    await rm(file, { force: true });
  }
}

/** Waits until the first rank has prepared the run and can be joined. */
export async function firstIsReady(out: string, ranks: Ranks, signal: AbortSignal | undefined): Promise<void> {
  const file = rendezvous(out, ranks);
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; await wait(POLL_MS, undefined, { signal })) {
    try {
      await readFile(file);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new IoError('ERR_IO', `Rank ${ranks.rank} has waited in vain for the first rank's file "${file}".`);
}

function rendezvous(out: string, { run }: Ranks): string {
  return join(out, `.ranks-${run.replace(/[^\w-]/g, '_')}`);
}

/**
 * Starts this program once a device, with the same arguments, and waits for all. Where one fails the others are ended,
 * so that none waits for it for ever; what the run has kept stays.
 *
 * @returns the exit status of the first that failed, else 0
 */
export async function launch(devices: readonly string[], args: readonly string[]): Promise<number> {
  const run = randomUUID();
  const children = devices.map((device, rank) => {
    const env = {
      ...process.env,
      RANK: `${rank}`,
      WORLD_SIZE: `${devices.length}`,
      LOCAL_RANK: device.slice('cuda:'.length),
      TORCHELASTIC_RUN_ID: run,
    };
    const program = [process.argv[1] as string, ...args, '--devices', 'env'];
    return spawn(process.execPath, program, { env, stdio: ['inherit', rank === 0 ? 'inherit' : 'ignore', 'inherit'] });
  });
  // Ctrl-C reaches all of them; the first one keeps what it has and lets the others go.
  const pass = (signal: NodeJS.Signals) => void children[0]?.kill(signal);
  const ignore = () => undefined;
  process.on('SIGINT', ignore).on('SIGTERM', pass);
  const ended = children.map(
    (child) =>
      new Promise<number>((resolve, reject) => {
        child.once('error', (error) => reject(new DeviceError('ERR_DEVICE', `A rank cannot start: ${error.message}`)));
        child.once('exit', (status, signal) => resolve(status ?? (signal === 'SIGTERM' ? 143 : 1)));
      }),
  );
  try {
    const failed = await firstFailure(ended);
    if (failed === 0) return 0;
    for (const child of children) child.kill('SIGTERM');
    await Promise.race([Promise.allSettled(ended), wait(GRACE_MS)]);
    return failed;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    process.off('SIGINT', ignore).off('SIGTERM', pass);
  }
}

/** The status of the first that did not end well, as soon as it is known; 0 once all have. */
async function firstFailure(ended: readonly Promise<number>[]): Promise<number> {
  const failure = new Promise<number>((resolve, reject) => {
    for (const status of ended) status.then((code) => code !== 0 && resolve(code), reject);
  });
  return await Promise.race([failure, Promise.all(ended).then(() => 0)]);
}
