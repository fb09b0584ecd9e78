import { existsSync } from 'node:fs';
import os from 'node:os';
import { checkPath } from './check.js';
import { bundledModel } from './models.js';
import type { FileInfo } from './native/binding.js';
import { addon, platformName } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

export type { FileInfo };

/**
 * Reads a file's header only.
 *
 * @throws FormatError, GeometryError, IoError
 */
export async function info(path: string, options: CallOptions = {}): Promise<FileInfo> {
  checkPath('The path', path);
  return await call(options, () => addon().inspect(path));
}

/** What this installation can do. */
export interface Health {
  version: string;
  node: string;
  platform: string;
  threads: number;
  memoryBytes: number;
  simd: string;
  devices: { name: string; usable: boolean; reason: string | null }[];
  bundledModel: { path: string; present: boolean };
}

/** Looks at this installation: addon, processor, devices, bundled model. */
export function doctor(): Health {
  const native = addon().health();
  const path = bundledModel();
  return {
    version: native.version,
    node: process.version,
    platform: platformName(),
    threads: native.threads,
    memoryBytes: os.totalmem(),
    simd: native.simd,
    devices: [
      { name: 'cpu', usable: true, reason: null },
      { name: 'cuda', usable: false, reason: 'this build has CPU code only' },
    ],
    bundledModel: { path, present: existsSync(path) },
  };
}
