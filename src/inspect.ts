import { existsSync } from 'node:fs';
import os from 'node:os';
import { checkPath } from './check.js';
import { bundledModel } from './models.js';
import { addon, platformName } from './native/load.js';
import { call } from './progress.js';
import type { Axes, CallOptions, Warning } from './types.js';

/** What a file's header says. */
export interface FileInfo {
  /** Voxels along `[z, y, x]`. */
  shape: Axes;
  /** Voxel size in mm along `[z, y, x]`. */
  spacingMm: Axes;
  /** 16 numbers, row-major: voxel `(x, y, z)` to RAS mm. */
  affine: number[];
  /** Where the file's axes i, j, k point to: `'RAS'` for right, front, head. */
  axcodes: string;
  /** Stored data type, `int16` for instance. */
  dataType: string;
  /** Byte order of the file. */
  littleEndian: boolean;
  /** NIfTI's sform code; `null` for other formats. */
  sformCode: number | null;
  /** NIfTI's qform code; `null` for other formats. */
  qformCode: number | null;
  /** `nifti1`, `nifti2`, `nrrd` or `metaimage`. */
  format: string;
  /** Lengths of the axes beyond the third; one of their volumes is named by `index`. */
  extra: number[];
  /** Slope and intercept of stored values, where there are any. */
  scaling: [slope: number, intercept: number] | null;
  /** `NO_ORIENTATION`, `FORMS_DIFFER`, `UNITS`. */
  warnings: Warning[];
}

/**
 * Reads a file's header only.
 *
 * @throws FormatError, GeometryError, IoError
 */
export async function info(path: string, options: CallOptions = {}): Promise<FileInfo> {
  checkPath('The path', path);
  const { value } = await call<FileInfo>(options, () => addon().inspect(path));
  return value;
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
