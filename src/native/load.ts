import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { DeviceError, InternalError, UsageError } from '../errors.js';
import type * as Binding from './binding.js';

type Addon = typeof Binding;

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
let loaded: Loaded | undefined;

/** Set to `cpu`, it keeps the addon with CUDA code from being loaded. */
const VARIABLE = 'PULMOAV_ADDON';
const NOT_INSTALLED =
  'this installation has CPU code only; in a clone "npm run build:cuda" makes the addon with CUDA code';

/** The addon of this process. */
interface Loaded {
  exports: Addon;
  path: string;
  /** Why it is not the one with CUDA code; `null` where it is. */
  cpuReason: string | null;
  /** Whether one with CUDA code is there that cannot be used. */
  cudaIsBroken: boolean;
}

/** The addon, loaded once a process: with CUDA code if there is such a one, built here or installed, else without. */
export function addon(): Addon {
  return loadedAddon().exports;
}

/** The addon, and why it is this one. */
export function loadedAddon(): Loaded {
  loaded ??= load();
  return loaded;
}

/** Names an npm package of this platform can have, `linux-x64-gnu` for instance. */
export function platformName(): string {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  const libc = process.platform === 'linux' ? (report?.header?.glibcVersionRuntime ? '-gnu' : '-musl') : '';
  const abi = process.platform === 'win32' ? '-msvc' : libc;
  return `${process.platform}-${process.arch}${abi}`;
}

function load(): Loaded {
  const platform = platformName();
  const tried: string[] = [];
  const [cudaFile, cpuFile] = localFiles();
  const { exports: withCuda, path: cudaPath, problem } = cudaAddon(platform, cudaFile, cpuFile);
  if (withCuda) return { exports: withCuda, path: cudaPath, cpuReason: null, cudaIsBroken: false };
  for (const candidate of [...(cpuFile === undefined ? [] : [cpuFile]), `pulmoav-${platform}`]) {
    try {
      const exports = checked(require(candidate));
      const cudaIsBroken = problem !== null && !process.env[VARIABLE];
      return { exports, path: candidate, cpuReason: problem ?? NOT_INSTALLED, cudaIsBroken };
    } catch (error) {
      tried.push(`${candidate}: ${firstLine(error)}`);
    }
  }
  throw new InternalError(
    'ERR_INTERNAL',
    `The native addon of pulmoav could not be loaded on ${platform} with Node ${process.version}. Tried:\n  ${tried.join('\n  ')}`,
    { hint: 'Install pulmoav anew without --omit=optional, or run "npm run build" in a clone.' },
  );
}

/** The package's version. */
export function version(): string {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(file)).version;
}

/** An addon of this package's own version exports what the declarations made with it say. */
function checked(exports: unknown): Addon {
  if (!isAddon(exports)) throw new Error('it is no addon of pulmoav');
  const found = exports.health().version;
  if (found !== version()) throw new Error(`it is of version ${found}, not ${version()}`);
  return exports;
}

function isAddon(exports: unknown): exports is Addon {
  return typeof exports === 'object' && exports !== null && 'health' in exports;
}

interface CudaAddon {
  exports?: Addon;
  path: string;
  /** Why one that is there is not taken. */
  problem: string | null;
}

/** The addon with CUDA code: built here, or of the platform's second package. */
function cudaAddon(platform: string, file: string | undefined, cpuFile: string | undefined): CudaAddon {
  const path = file ?? `pulmoav-cuda-${platform}`;
  const wanted = process.env[VARIABLE];
  if (wanted === 'cpu') return { path, problem: `${VARIABLE}=cpu asks for CPU code only` };
  if (wanted !== undefined && wanted !== '')
    throw new UsageError(`${VARIABLE} is "${wanted}"; expected cpu or nothing.`);
  if (file !== undefined && cpuFile !== undefined && statSync(file).mtimeMs < statSync(cpuFile).mtimeMs) {
    return { path, problem: 'the addon with CUDA code is older than the other; run "npm run build:cuda" again' };
  }
  try {
    return { exports: checked(require(path)), path, problem: null };
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    return {
      path,
      problem: isMissing ? null : `the addon with CUDA code does not load (${path}: ${firstLine(error)})`,
    };
  }
}

/** What was built here: the addon with CUDA code, and the one without. */
function localFiles(): [cuda: string | undefined, cpu: string | undefined] {
  const names = existsSync(here) ? readdirSync(here).filter((name) => name.endsWith('.node')) : [];
  const find = (prefix: string) => names.filter((name) => name.startsWith(prefix)).map((name) => join(here, name))[0];
  return [find('pulmoav-cuda.'), find('pulmoav.')];
}

function firstLine(error: unknown): string {
  return (error as Error).message.split('\n')[0] ?? '';
}

/** Refuses what is no device, and a GPU where there is no code for it. */
export function checkDevice(device: string): void {
  if (device === 'auto' || device === 'cpu') return;
  if (!/^cuda(:\d{1,9})?$/.test(device)) {
    throw new DeviceError('ERR_DEVICE', `There is no device "${device}"; expected auto, cpu or cuda[:N].`);
  }
  const { cpuReason } = loadedAddon();
  if (cpuReason !== null) throw unusable(`${device} cannot be used: ${cpuReason}`);
}

/** A GPU that was asked for by name and cannot be used; `problem` says which and why. */
export function unusable(problem: string): DeviceError {
  return new DeviceError('ERR_DEVICE', `The device ${problem}.`, {
    hint: 'Use cpu or auto; "pulmoav doctor" says what was found.',
  });
}
