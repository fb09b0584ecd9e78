import {
  checkBoolean,
  checkInteger,
  checkPath,
  checkStrings,
  checkVolume,
  defaultThreads,
  MAX_THREADS,
  seriesOf,
} from './check.js';
import { UsageError } from './errors.js';
import { FINAL_CHECKPOINT, familyOf } from './models/family.js';
import { findNetworks } from './models.js';
import type { Segmentation } from './native/binding.js';
import { type ChosenDevice, checkPrecision, chooseDevice, type Precision } from './native/device.js';
import { ClassNetwork } from './networks/classes.js';
import { LungVessels } from './networks/lung-vessels.js';
import type { Network } from './networks/network.js';
import type { SegmentOptions } from './networks/options.js';
import { PromptedNetwork } from './networks/prompted.js';
import { call } from './progress.js';
import type { CallOptions, Volume, Warning } from './types.js';

export type { Segmentation, SegmentedTarget, SegmentMemory, SegmentSeconds } from './native/binding.js';
export type { SegmentOptions } from './networks/options.js';

/** Published pipelines of several models. */
export const PRESETS = ['totalsegmentator-lung-vessels'] as const;

/** The name of a published pipeline. */
export type Preset = (typeof PRESETS)[number];

/** Where and with what a {@link Segmenter} runs. */
export interface LoadOptions extends CallOptions {
  /**
   * Name or directory of a model, or directory of a run of `pulmoav train`: of one with several folds, the mean of
   * their probabilities counts. Or the trainer's folder of an nnU-Net v2 model.
   *
   * @default 'tiny'
   */
  model?: string | undefined;
  /** A published pipeline of several models, instead of `model`. */
  preset?: Preset | undefined;
  /**
   * Folder of the preset's models.
   *
   * @default where TotalSegmentator itself looks: TOTALSEG_WEIGHTS_PATH, TOTALSEG_HOME_DIR, ~/.totalsegmentator
   */
  weights?: string | undefined;
  /** Folds of an nnU-Net folder whose mean answers, such as `['0', '1']` or `['all']`. @default every numbered one */
  folds?: string[] | undefined;
  /** File name of an nnU-Net folder's checkpoints. @default 'checkpoint_final.pth' */
  checkpoint?: string | undefined;
  /** `auto` (a GPU where one can be used, else the CPU), `cpu` or `cuda[:N]`. @default 'auto' */
  device?: string | undefined;
  /**
   * What the network computes in: `f32`, or `bf16` on a GPU, which is faster and takes half of the memory there; labels
   * can differ in single voxels.
   *
   * @default 'f32'
   */
  precision?: Precision | undefined;
  /** Threads to compute with; results do not depend on it. @default all */
  threads?: number | undefined;
}

/** Disposes of models that nobody can reach any more. */
const networks = new FinalizationRegistry<Network>((network) => network.dispose());

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
  /** The model's directory; the run's where several folds answer. */
  readonly model: string;
  /** Directories of all models that take part. */
  readonly directories: string[];
  /** The device it runs on: `cpu` or `cuda:N`. */
  readonly device: string;
  /** Why this one. */
  readonly deviceReason: string;
  /** Its licence, `null` where nobody says. */
  readonly licence: string | null;
  /** Papers to cite. */
  readonly citations: string[];
  readonly #network: Network;
  readonly #warnings: Warning[];
  #disposed = false;

  private constructor(network: Network, model: string, directories: string[], device: ChosenDevice) {
    this.#network = network;
    this.model = model;
    this.directories = directories;
    this.folds = network.folds;
    this.device = device.name;
    this.deviceReason = device.reason;
    this.#warnings = device.warnings;
    this.licence = network.terms.licence;
    this.citations = network.terms.citations;
    networks.register(this, network, this);
  }

  /**
   * Loads a model.
   *
   * @throws ModelError, DeviceError, UsageError
   */
  static async load(options: LoadOptions = {}): Promise<Segmenter> {
    const { model, precision = 'f32', threads = defaultThreads(), preset, weights, folds, checkpoint } = options;
    checkInteger('threads', threads, 1, MAX_THREADS);
    const device = await chooseDevice(options.device, options.signal);
    checkPrecision(precision, device.name);
    const place = { device: device.name, precision, threads };
    if (folds !== undefined) checkStrings('folds', folds);
    if (preset !== undefined) {
      checkPreset(options);
      const network = await LungVessels.load(weights, place, options);
      return new Segmenter(network, network.directories[1], network.directories, device);
    }
    if (weights !== undefined) throw new UsageError('weights names the folder of a preset; name the preset too.');
    const directories = findNetworks(model);
    const [directory = '', ...others] = directories;
    const family = familyOf(directory);
    if (family !== 'nnunet' && (folds ?? checkpoint) !== undefined) {
      throw new UsageError("folds and checkpoint are for nnU-Net's own folders; this model is not one.");
    }
    if (family === 'prompts') {
      const network = await PromptedNetwork.load(directories, place, options);
      return new Segmenter(network, others.length === 0 ? directory : (model ?? ''), directories, device);
    }
    const source = {
      directory,
      foreign: family === 'nnunet',
      folds: folds ?? null,
      checkpoint: checkpoint ?? FINAL_CHECKPOINT,
    };
    return new Segmenter(await ClassNetwork.load(source, place, options), directory, directories, device);
  }

  /**
   * Labels one scan, given by path or as a volume in Hounsfield units; an nnU-Net model of several channels takes one a
   * channel.
   *
   * @throws FormatError, GeometryError, PromptError, MemoryError, IoError
   */
  async segment(scan: string | Volume | string[] | Volume[], options: SegmentOptions = {}): Promise<Segmentation> {
    if (this.#disposed) throw new UsageError('This segmenter was disposed; load another.');
    checkOptions(options);
    this.#network.check(options);
    const scans: unknown[] = Array.isArray(scan) ? scan : [scan];
    if (scans.length > 0 && scans.every((one) => typeof one === 'string')) {
      for (const path of scans) checkPath('The scan', path);
      return this.#noted(await call(options, (monitor) => this.#network.segmentFiles(scans, options, monitor)));
    }
    const volumes = scans.map((one) => {
      checkVolume('The scan', one);
      return one;
    });
    return this.#noted(await call(options, (monitor) => this.#network.segmentVolumes(volumes, options, monitor)));
  }

  /** A result with what a user should know of the model and the device. */
  #noted(result: Segmentation): Segmentation {
    const notes = this.#network.notes.map((message) => ({ code: 'MODEL_NOTE', message }));
    return { ...result, warnings: [...this.#warnings, ...notes, ...result.warnings] };
  }

  /** Frees the model's memory; the segmenter cannot be used afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    networks.unregister(this);
    this.#network.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function checkPreset({ preset, model, folds, checkpoint }: LoadOptions): void {
  if (!PRESETS.some((known) => known === preset)) {
    throw new UsageError(`There is no preset "${preset}"; expected ${PRESETS.join(', ')}.`);
  }
  if ((model ?? folds ?? checkpoint) === undefined) return;
  throw new UsageError('A preset has its own models, so model, folds and checkpoint do not go with it.');
}

function checkOptions(options: SegmentOptions): void {
  const { prompts, index, maxMemory, step } = options;
  if (prompts !== undefined) checkStrings('prompts', prompts);
  const { probabilities, keepLungs, keepAirways, strict, postprocess, mirror, rawLabels } = options;
  const switches = { probabilities, keepLungs, keepAirways, strict, postprocess, mirror, rawLabels };
  for (const [name, value] of Object.entries(switches)) if (value !== undefined) checkBoolean(name, value);
  if (index !== undefined) checkInteger('index', index, 0, 0xffff_ffff);
  seriesOf(options);
  if (maxMemory !== undefined) checkInteger('maxMemory', maxMemory, 1, Number.MAX_SAFE_INTEGER);
  if (step !== undefined && !(step > 0 && step <= 1)) {
    throw new UsageError(`step must be a number above 0, up to 1, but it is ${JSON.stringify(step)}.`);
  }
}
