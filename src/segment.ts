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
import { bundledModel, findNetworks } from './models.js';
import type { Segmentation, SegmentRequest } from './native/binding.js';
import { addon, checkDevice } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions, Volume } from './types.js';

export type { Segmentation, SegmentedTarget, SegmentMemory, SegmentSeconds } from './native/binding.js';

/** Where and with what a {@link Segmenter} runs. */
export interface LoadOptions extends CallOptions {
  /**
   * Name or directory of a model, or directory of a run of `pulmoav train`: of one with several folds, the mean of
   * their probabilities counts.
   *
   * @default 'tiny'
   */
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
  /**
   * Post-process the labels: the lungs decide on the side of prompts that name one, and specks, air and what touches no
   * lung are cleared.
   *
   * @default as the model's plan says: yes with `pulmoav` networks, no with `la-caf`, which was published without
   */
  postprocess?: boolean | undefined;
  /** Refuse a prompt with a side where the scan leaves the sides unclear, instead of warning. @default false */
  strict?: boolean | undefined;
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Most memory the process may use, bytes. @default no limit */
  maxMemory?: number | undefined;
}

const handles = new FinalizationRegistry<number>((handle) => addon().disposeSegmenter(handle));

/**
 * A loaded model, ready for any number of scans.
 *
 * @example
 * using segmenter = await Segmenter.load();
 * const { labels, targets } = await segmenter.segment('chest.nii.gz', { prompts: ['artery', 'vein'] });
 */
export class Segmenter {
  /** How many models answer together: those of a run's folds, else 1. */
  readonly folds: number;
  readonly #handle: number;
  #disposed = false;

  private constructor(handle: number, folds: number) {
    this.#handle = handle;
    this.folds = folds;
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
    const directories = findNetworks(model);
    const handle = await call(options, (monitor) =>
      addon().loadSegmenter(directories, bundledModel(), threads, monitor),
    );
    return new Segmenter(handle, directories.length);
  }

  /**
   * Labels one scan, given by path or as a volume in Hounsfield units.
   *
   * @throws FormatError, GeometryError, PromptError, MemoryError, IoError
   */
  async segment(scan: string | Volume, options: SegmentOptions = {}): Promise<Segmentation> {
    if (this.#disposed) throw new UsageError('This segmenter was disposed; load another.');
    const request = requestOf(options);
    return await call(options, async (monitor) => {
      if (typeof scan === 'string') {
        checkPath('The scan', scan);
        return await addon().segmentFile(this.#handle, scan, request, monitor);
      }
      checkVolume('The scan', scan);
      return await addon().segmentVolume(this.#handle, scan, request, monitor);
    });
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

function requestOf(options: SegmentOptions): SegmentRequest {
  const {
    prompts,
    probabilities = false,
    keepLungs = false,
    keepAirways = false,
    postprocess,
    strict = false,
    index,
    maxMemory,
  } = options;
  if (prompts !== undefined) checkStrings('prompts', prompts);
  for (const [name, value] of Object.entries({ probabilities, keepLungs, keepAirways, strict }))
    checkBoolean(name, value);
  if (postprocess !== undefined) checkBoolean('postprocess', postprocess);
  if (index !== undefined) checkInteger('index', index, 0, 0xffff_ffff);
  if (maxMemory !== undefined) checkInteger('maxMemory', maxMemory, 1, Number.MAX_SAFE_INTEGER);
  return {
    prompts: prompts ?? null,
    probabilities,
    keepLungs,
    keepAirways,
    postprocess: postprocess ?? null,
    strict,
    index: index ?? null,
    maxMemoryBytes: maxMemory ?? null,
  };
}
