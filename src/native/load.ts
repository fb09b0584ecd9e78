import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
      return require(candidate) as Addon;
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
