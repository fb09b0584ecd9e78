import { UsageError } from '../errors.js';
import { bundledModel } from '../models.js';
import type { CallMonitor, ClassModelInfo, ClassModelSource } from '../native/binding.js';
import { addon } from '../native/load.js';
import { seriesOf } from '../options.js';
import { call } from '../progress.js';
import type { CallOptions, Volume } from '../types.js';
import type { Answer, Foretold, Network, Place, Terms } from './network.js';
import type { SegmentOptions } from './options.js';

/** Papers to cite with nnU-Net's models. */
const NNUNET = 'Isensee et al., nnU-Net, Nature Methods 18:203–211 (2021), doi 10.1038/s41592-020-01008-z';

/** A model that answers with classes: nnU-Net's folder, or one that was made of it. */
export class ClassNetwork implements Network {
  readonly handle: number;
  readonly info: ClassModelInfo;

  private constructor(handle: number, info: ClassModelInfo) {
    this.handle = handle;
    this.info = info;
  }

  static async load(
    source: ClassModelSource,
    { device, others = [], precision, threads }: Place,
    options: CallOptions,
  ): Promise<ClassNetwork> {
    const { handle, info } = await call(options, (monitor) =>
      addon().loadClassModel(source, bundledModel(), [device, ...others], precision, threads, monitor),
    );
    return new ClassNetwork(handle, info);
  }

  get folds(): number {
    return this.info.folds.length;
  }

  get notes(): string[] {
    return this.info.notes;
  }

  get terms(): Terms {
    return { licence: this.info.licence, citations: [NNUNET] };
  }

  check({ keepLungs, keepAirways, postprocess, tidy, tilesAtOnce, rawLabels }: SegmentOptions): void {
    refuse(
      { keepLungs, keepAirways, postprocess, tidy, tilesAtOnce },
      "is for pulmoav's own networks; this one has classes",
    );
    refuse({ rawLabels }, 'is for presets; this model gives its own values anyway');
  }

  async segmentFiles(paths: string[], options: SegmentOptions, monitor: CallMonitor): Answer {
    return await addon().segmentClassFiles(this.handle, paths, requestOf(options), monitor);
  }

  async segmentVolumes(volumes: Volume[], options: SegmentOptions, monitor: CallMonitor): Answer {
    return await addon().segmentClassVolumes(this.handle, volumes, requestOf(options), monitor);
  }

  async foretellFiles(paths: string[], options: SegmentOptions, monitor: CallMonitor): Foretold {
    return await addon().foretellClassFiles(this.handle, paths, requestOf(options), monitor);
  }

  dispose(): void {
    addon().disposeClassModel(this.handle);
  }
}

/** Refuses options that are set to something. */
export function refuse(options: Record<string, unknown>, why: string): void {
  const name = Object.keys(options).find((key) => options[key] !== undefined && options[key] !== false);
  if (name !== undefined) throw new UsageError(`${name} ${why}.`);
}

function requestOf({ prompts, probabilities, step, mirror, index, series, maxMemory }: SegmentOptions) {
  return {
    prompts: prompts ?? null,
    probabilities: probabilities ?? false,
    step: step ?? null,
    mirror: mirror ?? true,
    index: index ?? null,
    series: seriesOf({ series }),
    maxMemoryBytes: maxMemory ?? null,
  };
}
