import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { DeviceError, InternalError } from '../errors.js';
import type * as Binding from './binding.js';

type Addon = typeof Binding;

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
let loaded: Addon | undefined;

/** The addon, loaded once a process: the one built here, else the platform's package. */
export function addon(): Addon {
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

function load(): Addon {
  const platform = platformName();
  const tried: string[] = [];
  for (const candidate of candidates(platform)) {
    try {
      return checked(require(candidate));
    } catch (error) {
      tried.push(`${candidate}: ${(error as Error).message.split('\n')[0]}`);
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

function candidates(platform: string): string[] {
  const local = readdirSync(here).filter((name) => name.endsWith('.node'));
  return [...local.map((name) => join(here, name)), `pulmoav-${platform}`];
}

/** Refuses devices this build cannot drive. */
export function checkDevice(device: string): void {
  if (device === 'auto' || device === 'cpu') return;
  if (/^cuda(:\d+)?$/.test(device)) {
    throw new DeviceError(
      'ERR_DEVICE',
      `Device "${device}" was asked for, but this build of pulmoav has CPU code only.`,
      {
        hint: 'Use cpu or auto.',
      },
    );
  }
  throw new DeviceError('ERR_DEVICE', `There is no device "${device}"; expected auto, cpu or cuda[:N].`);
}
