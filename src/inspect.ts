import { existsSync } from 'node:fs';
import os from 'node:os';
import { checkPath } from './check.js';
import { bundledModel } from './models.js';
import type { DeviceProbe, FileInfo, SeriesInfo } from './native/binding.js';
import { probeDevices } from './native/device.js';
import { addon, loadedAddon, platformName } from './native/load.js';
import { CALL_OPTIONS, checkOptions, type Kinds, SERIES, seriesOf } from './options.js';
import { call } from './progress.js';
import type { CallOptions, SeriesName } from './types.js';

export type { FileInfo, SeriesInfo };

/** Options of {@link info}. */
export interface InfoOptions extends CallOptions {
  /** Which series of DICOM, by its UID or its number in the list of {@link listSeries}. @default the rule's choice */
  series?: SeriesName | undefined;
}

const OPTIONS: Kinds<InfoOptions> = { ...CALL_OPTIONS, series: SERIES };

/**
 * Reads a file's header only; of DICOM, that of the series that would be read.
 *
 * @throws FormatError, GeometryError, IoError
 */
export async function info(path: string, options: InfoOptions = {}): Promise<FileInfo> {
  checkOptions(options, OPTIONS);
  checkPath('The path', path);
  const series = seriesOf(options);
  return await call(options, (monitor) => addon().inspect(path, series, monitor));
}

/**
 * Lists the CT series of a DICOM folder, zip archive or file; at most one of them is `chosen`, which is what is read
 * where no series is named. Files of other formats have none.
 *
 * @throws FormatError for DICOM without a CT, and for folders without DICOM; IoError
 * @example
 * for (const { number, description, slices } of await listSeries('study')) console.log(number, description, slices);
 */
export async function listSeries(path: string, options: CallOptions = {}): Promise<SeriesInfo[]> {
  checkOptions(options, CALL_OPTIONS);
  checkPath('The path', path);
  return await call(options, (monitor) => addon().listSeries(path, monitor));
}

/** What this installation can do. */
export interface Health {
  version: string;
  node: string;
  platform: string;
  threads: number;
  memoryBytes: number;
  simd: string;
  /** The native addon in use, and whether it has CUDA code. */
  addon: { path: string; cuda: boolean };
  devices: { name: string; usable: boolean; reason: string | null }[];
  /** The CUDA driver, its libraries and its cards; `null` where the addon has no CUDA code. */
  cuda: DeviceProbe | null;
  bundledModel: { path: string; present: boolean };
}

/** Looks at this installation: addon, processor, devices, bundled model. A CUDA driver is asked and waited for. */
export function doctor(): Health {
  const native = addon().health();
  const { path: file, cpuReason } = loadedAddon();
  const cuda = cpuReason === null ? probeDevices() : null;
  const path = bundledModel();
  return {
    version: native.version,
    node: process.version,
    platform: platformName(),
    threads: native.threads,
    memoryBytes: os.totalmem(),
    simd: native.simd,
    addon: { path: file, cuda: native.cuda },
    devices: [{ name: 'cpu', usable: true, reason: null }, ...gpus(cuda, cpuReason)],
    cuda,
    bundledModel: { path, present: existsSync(path) },
  };
}

/** One line a card; one that says why there is none. */
function gpus(cuda: DeviceProbe | null, cpuReason: string | null): Health['devices'] {
  const reason = cpuReason ?? cuda?.reason ?? null;
  if (cuda === null || cuda.cards.length === 0) return [{ name: 'cuda', usable: false, reason }];
  return cuda.cards.map((card) => {
    const why = reason ?? card.reason;
    return { name: `cuda:${card.number}`, usable: why === null, reason: why };
  });
}
