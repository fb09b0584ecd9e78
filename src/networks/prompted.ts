import { UsageError } from '../errors.js';
import { bundledModel } from '../models.js';
import type { CallMonitor, SegmentRequest } from '../native/binding.js';
import { addon } from '../native/load.js';
import { seriesOf } from '../options.js';
import { call } from '../progress.js';
import type { CallOptions, Volume } from '../types.js';
import { type Answer, type Foretold, type Network, noTerms, type Place } from './network.js';
import type { SegmentOptions } from './options.js';

/** A network of ours: one map a prompt. */
export class PromptedNetwork implements Network {
  readonly folds: number;
  readonly terms = noTerms;
  readonly notes: string[] = [];
  readonly #handle: number;

  private constructor(handle: number, folds: number) {
    this.#handle = handle;
    this.folds = folds;
  }

  static async load(
    directories: string[],
    { device, others = [], precision, threads }: Place,
    options: CallOptions,
  ): Promise<PromptedNetwork> {
    const handle = await call(options, (monitor) =>
      addon().loadSegmenter(directories, bundledModel(), [device, ...others], precision, threads, monitor),
    );
    return new PromptedNetwork(handle, directories.length);
  }

  check({ rawLabels }: SegmentOptions): void {
    if (rawLabels === undefined) return;
    throw new UsageError("rawLabels is for models that answer with classes, such as nnU-Net's; this one has prompts.");
  }

  async segmentFiles(paths: string[], options: SegmentOptions, monitor: CallMonitor): Answer {
    return await addon().segmentFile(this.#handle, only(paths), requestOf(options), monitor);
  }

  async segmentVolumes(volumes: Volume[], options: SegmentOptions, monitor: CallMonitor): Answer {
    return await addon().segmentVolume(this.#handle, only(volumes), requestOf(options), monitor);
  }

  async foretellFiles(paths: string[], options: SegmentOptions, monitor: CallMonitor): Foretold {
    return await addon().foretellFile(this.#handle, only(paths), requestOf(options), monitor);
  }

  dispose(): void {
    addon().disposeSegmenter(this.#handle);
  }
}

/** The one scan that the model looks at. */
export function only<T>(scans: T[]): T {
  const [scan, ...others] = scans;
  if (scan !== undefined && others.length === 0) return scan;
  throw new UsageError(`This model looks at one scan, but ${scans.length} were given.`);
}

function requestOf(options: SegmentOptions): SegmentRequest {
  const { prompts, probabilities = false, keepLungs = false, keepAirways = false, postprocess } = options;
  return {
    prompts: prompts ?? null,
    probabilities,
    keepLungs,
    keepAirways,
    postprocess: postprocess ?? null,
    step: options.step ?? null,
    mirror: options.mirror ?? null,
    tidy: options.tidy ?? null,
    strict: options.strict ?? false,
    index: options.index ?? null,
    series: seriesOf(options),
    tilesAtOnce: options.tilesAtOnce ?? null,
    maxMemoryBytes: options.maxMemory ?? null,
  };
}
