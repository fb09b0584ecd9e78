import {
  checkBoolean,
  checkInteger,
  checkPath,
  checkStrings,
  checkVolume,
  defaultThreads,
  MAX_THREADS,
} from './check.js';
import { UsageError } from './errors.js';
import { bundledModel, findNetwork } from './models.js';
import { addon, checkDevice } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions, MeasuredStructure, Volume, Warning } from './types.js';
import { type Geometry, geometryJson, volumeOf } from './volume.js';

/** Where and with what a {@link Segmenter} runs. */
export interface LoadOptions extends CallOptions {
  /** Name or directory of a model. @default 'tiny' */
  model?: string | undefined;
  /** `auto`, `cpu` or `cuda[:N]`. @default 'auto' */
  device?: string | undefined;
  /** Threads to compute with; results do not depend on it. @default all */
  threads?: number | undefined;
}

/** What is asked of one scan. */
export interface SegmentOptions extends CallOptions {
  /** What to look for, in words. @default the plan's own: artery, vein */
  prompts?: string[] | undefined;
  /** Return probabilities too. @default false */
  probabilities?: boolean | undefined;
  /**
   * Write the lungs into the label map too, where it holds no vessel. Left and right get the first two values above all
   * that the model has: 10 and 11 with `tiny`.
   *
   * @default false
   */
  keepLungs?: boolean | undefined;
  /** Write the airways into the label map too, with the value after the right lung's. @default false */
  keepAirways?: boolean | undefined;
  /** Refuse a prompt with a side where the scan leaves the sides unclear, instead of warning. @default false */
  strict?: boolean | undefined;
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Most memory the process may use, bytes. @default no limit */
  maxMemory?: number | undefined;
}

/** One target's share of the label map. */
export interface SegmentedTarget {
  /** Value in the label map. */
  value: number;
  /** Target's name. */
  name: string;
  /** The prompt that resolved to it. */
  prompt: string;
  /** Voxels with this value. */
  voxels: number;
  /** Their volume in ml. */
  volumeMl: number;
}

/** The result of segmenting one scan. */
export interface Segmentation {
  /** Label map on the scan's own grid; 0 is background. */
  labels: Volume<Uint8Array>;
  /** `[prompt, z, y, x]`, prompt slowest, on the scan's own grid; there when asked for. */
  probabilities?: Float32Array;
  /** What was asked for and found. */
  targets: SegmentedTarget[];
  /** What was kept beside the vessels, with its values in `labels`; empty where nothing was to be. */
  structures: MeasuredStructure[];
  /** Wall time by stage. */
  seconds: { load: number; prepare: number; network: number; restore: number; total: number };
  /** Memory: allowed (`null`: no limit), predicted before the run, and the process's peak. */
  memory: { budgetBytes: number | null; predictedBytes: number; peakBytes: number };
  /** What the network saw at once, voxels `[z, y, x]` of the plan's grid. */
  tile: [number, number, number];
  /** Labelled voxels below −900 HU, which is air, that were cleared. */
  clearedInAir: number;
  /** What a user should know. */
  warnings: Warning[];
}

type Segmented = Omit<Segmentation, 'labels' | 'probabilities'> & { geometry: Geometry };

const handles = new FinalizationRegistry<number>((handle) => addon().disposeSegmenter(handle));

/**
 * A loaded model, ready for any number of scans.
 *
 * @example
 * using segmenter = await Segmenter.load();
 * const { labels, targets } = await segmenter.segment('chest.nii.gz', { prompts: ['artery', 'vein'] });
 */
export class Segmenter {
  readonly #handle: number;
  #disposed = false;

  private constructor(handle: number) {
    this.#handle = handle;
    handles.register(this, handle, this);
  }

  /**
   * Loads a model.
   *
   * @throws ModelError, DeviceError, UsageError
   */
  static async load(options: LoadOptions = {}): Promise<Segmenter> {
    const { model, device = 'auto', threads = defaultThreads() } = options;
    checkDevice(device);
    checkInteger('threads', threads, 1, MAX_THREADS);
    const directory = findNetwork(model);
    const { value } = await call<{ handle: number }>(options, (monitor) =>
      addon().loadSegmenter(directory, bundledModel(), threads, monitor),
    );
    return new Segmenter(value.handle);
  }

  /**
   * Labels one scan, given by path or as a volume in Hounsfield units.
   *
   * @throws FormatError, GeometryError, PromptError, MemoryError, IoError
   */
  async segment(scan: string | Volume, options: SegmentOptions = {}): Promise<Segmentation> {
    if (this.#disposed) throw new UsageError('This segmenter was disposed; load another.');
    const request = requestJson(options);
    const { value, arrays } = await call<Segmented>(options, (monitor) => {
      if (typeof scan === 'string') {
        checkPath('The scan', scan);
        return addon().segmentFile(this.#handle, scan, request, monitor);
      }
      checkVolume('The scan', scan);
      return addon().segmentVolume(this.#handle, geometryJson(scan), scan.data, request, monitor);
    });
    const { geometry, ...rest } = value;
    const labels = volumeOf(arrays[0] as Uint8Array, geometry);
    return { labels, ...(arrays[1] && { probabilities: arrays[1] as Float32Array }), ...rest };
  }

  /** Frees the model's memory; the segmenter cannot be used afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    handles.unregister(this);
    addon().disposeSegmenter(this.#handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function requestJson(options: SegmentOptions): string {
  const {
    prompts,
    probabilities = false,
    keepLungs = false,
    keepAirways = false,
    strict = false,
    index,
    maxMemory,
  } = options;
  if (prompts !== undefined) checkStrings('prompts', prompts);
  for (const [name, value] of Object.entries({ probabilities, keepLungs, keepAirways, strict }))
    checkBoolean(name, value);
  if (index !== undefined) checkInteger('index', index, 0, 0xffff_ffff);
  if (maxMemory !== undefined) checkInteger('maxMemory', maxMemory, 1, Number.MAX_SAFE_INTEGER);
  return JSON.stringify({
    prompts: prompts ?? null,
    probabilities,
    keepLungs,
    keepAirways,
    strict,
    index: index ?? null,
    maxMemoryBytes: maxMemory ?? null,
  });
}
