import { checkPath, checkVolume, defaultThreads } from './check.js';
import { StrictError, UsageError } from './errors.js';
import { FINAL_CHECKPOINT, familyOf } from './models/family.js';
import { findNetworks } from './models.js';
import type { Forecast, Segmentation } from './native/binding.js';
import { type ChosenDevice, checkPrecision, chooseDevices, type Precision } from './native/device.js';
import { ClassNetwork } from './networks/classes.js';
import { LungVessels } from './networks/lung-vessels.js';
import type { Network } from './networks/network.js';
import type { SegmentOptions } from './networks/options.js';
import { PromptedNetwork } from './networks/prompted.js';
import { checkQuality, foldsOf, type Quality, type Windows, windowsOf } from './networks/quality.js';
import {
  BYTES,
  CALL_OPTIONS,
  checkOptions,
  INDEX,
  integer,
  type Kinds,
  PATH,
  SERIES,
  SHARE,
  SWITCH,
  TEXT,
  TEXTS,
  THREADS,
} from './options.js';
import { call } from './progress.js';
import { type FileBytes, isFileBytes, withFileOf } from './spool.js';
import type { CallOptions, Volume, Warning } from './types.js';

export type {
  Forecast,
  Segmentation,
  SegmentedTarget,
  SegmentMemory,
  SegmentSeconds,
  TidyCounts,
} from './native/binding.js';
export type { SegmentOptions } from './networks/options.js';
export { QUALITIES, type Quality } from './networks/quality.js';
export type { FileBytes } from './spool.js';

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
   * GPUs that share the work, such as `['cuda:0', 'cuda:1']`, in the place of `device`: the tiles of networks with
   * prompts, the folds of nnU-Net's models.
   */
  devices?: readonly string[] | undefined;
  /**
   * What the network computes in: `f32`, or, on a GPU, `bf16`, which is faster and takes half of the memory there, or
   * `tf32`, whose convolutions are of f32 values rounded to 10 bits of mantissa. Labels can differ in single voxels.
   *
   * @default 'f32'
   */
  precision?: Precision | undefined;
  /** Threads to compute with; results do not depend on it. @default all */
  threads?: number | undefined;
  /**
   * How much is computed for one answer: `fast` overlaps windows less, asks one fold and, of nnU-Net's, mirrors nothing,
   * `normal` is the model's own way, `best` shows windows both ways (networks with prompts) or overlaps more (others).
   * Options of a call that say otherwise count.
   *
   * @default 'normal'
   */
  quality?: Quality | undefined;
}

/** What is asked of a model, and of one scan, beside what every call may say. */
export const LOADING: Kinds<Omit<LoadOptions, keyof CallOptions>> = {
  model: PATH,
  preset: TEXT,
  weights: PATH,
  folds: TEXTS,
  checkpoint: TEXT,
  device: TEXT,
  devices: TEXTS,
  precision: TEXT,
  threads: THREADS,
  quality: TEXT,
};
export const ASKING: Kinds<Omit<SegmentOptions, keyof CallOptions>> = {
  prompts: TEXTS,
  probabilities: SWITCH,
  keepLungs: SWITCH,
  keepAirways: SWITCH,
  postprocess: SWITCH,
  tidy: SWITCH,
  strict: SWITCH,
  index: INDEX,
  series: SERIES,
  mirror: SWITCH,
  step: SHARE,
  rawLabels: SWITCH,
  tilesAtOnce: integer(1, 4096),
  maxMemory: BYTES,
};

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
  /** The device it runs on: `cpu` or `cuda:N`; several with commas between. */
  readonly device: string;
  /** Why this one. */
  readonly deviceReason: string;
  /** Its licence, `null` where nobody says. */
  readonly licence: string | null;
  /** Papers to cite. */
  readonly citations: string[];
  readonly #network: Network;
  readonly #warnings: Warning[];
  readonly #windows: Windows;
  #disposed = false;

  private constructor(
    network: Network,
    model: string,
    directories: string[],
    device: ChosenDevice,
    windows: Windows = {},
  ) {
    this.#network = network;
    this.#windows = windows;
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
    checkOptions(options, { ...CALL_OPTIONS, ...LOADING });
    const { model, precision = 'f32', threads = defaultThreads(), preset, weights, folds, checkpoint } = options;
    const { quality = 'normal' } = options;
    checkQuality(quality);
    const device = await chooseDevices(options, options.signal);
    const [first = 'cpu', ...more] = device.all;
    checkPrecision(precision, first);
    const place = { device: first, others: more, precision, threads };
    if (preset !== undefined) {
      checkPreset(options);
      const network = await LungVessels.load(weights, place, options);
      return new Segmenter(network, network.directories[1], network.directories, device);
    }
    if (weights !== undefined) throw new UsageError('weights names the folder of a preset; name the preset too.');
    const all = findNetworks(model);
    const directories = quality === 'fast' ? all.slice(0, 1) : all;
    const [directory = '', ...others] = directories;
    const family = familyOf(directory);
    const windows = windowsOf(quality, family);
    if (family !== 'nnunet' && (folds ?? checkpoint) !== undefined) {
      throw new UsageError("folds and checkpoint are for nnU-Net's own folders; this model is not one.");
    }
    if (family === 'prompts') {
      const network = await PromptedNetwork.load(directories, place, options);
      return new Segmenter(network, others.length === 0 ? directory : (model ?? ''), directories, device, windows);
    }
    const source = {
      directory,
      foreign: family === 'nnunet',
      folds: folds ?? (family === 'nnunet' ? foldsOf(quality, directory) : undefined) ?? null,
      checkpoint: checkpoint ?? FINAL_CHECKPOINT,
    };
    return new Segmenter(await ClassNetwork.load(source, place, options), directory, directories, device, windows);
  }

  /**
   * Labels one scan: a path, the bytes of a file (all at once or as a stream, which go to a temporary file), or a volume
   * in Hounsfield units; an nnU-Net model of several channels takes a path or a volume a channel.
   *
   * @throws FormatError, GeometryError, PromptError, MemoryError, IoError; StrictError where `strict` is set
   */
  async segment(
    scan: string | FileBytes | Volume | string[] | Volume[],
    given: SegmentOptions = {},
  ): Promise<Segmentation> {
    const options = this.#checked(given);
    if (isFileBytes(scan)) return await withFileOf(scan, options.signal, (path) => this.segment(path, given));
    const scans: unknown[] = Array.isArray(scan) ? scan : [scan];
    if (scans.length > 0 && scans.every((one) => typeof one === 'string')) {
      for (const path of scans) checkPath('The scan', path);
      return this.#told(await call(options, (monitor) => this.#network.segmentFiles(scans, options, monitor)), options);
    }
    const volumes = scans.map((one) => {
      checkVolume('The scan', one);
      return one;
    });
    return this.#told(
      await call(options, (monitor) => this.#network.segmentVolumes(volumes, options, monitor)),
      options,
    );
  }

  /**
   * Foretells what segmenting a scan will take, at most about: by its header, and by showing the network one empty
   * window.
   *
   * @throws as {@link segment}; UsageError for presets
   */
  async foretell(scan: string | string[], given: SegmentOptions = {}): Promise<Forecast> {
    const options = this.#checked(given);
    const paths: unknown[] = Array.isArray(scan) ? scan : [scan];
    for (const path of paths) checkPath('The scan', path);
    return await call(options, (monitor) => this.#network.foretellFiles(paths as string[], options, monitor));
  }

  /** Options with what the quality sets, where they may be asked of this model. */
  #checked(given: SegmentOptions): SegmentOptions {
    if (this.#disposed) throw new UsageError('This segmenter was disposed; load another.');
    checkOptions(given, { ...CALL_OPTIONS, ...ASKING });
    const set = Object.entries(given).filter(([, value]) => value !== undefined);
    const options: SegmentOptions = { ...this.#windows, ...Object.fromEntries(set) };
    this.#network.check(options);
    return options;
  }

  /** A result with what a user should know of the model and the device; none where a warning is a failure. */
  #told(result: Segmentation, { strict }: SegmentOptions): Segmentation {
    const warnings = [...this.#warnings, ...result.warnings, ...implausible(result)];
    if (strict) refuseWarnings(warnings);
    const notes = this.#network.notes.map((message) => ({ code: 'MODEL_NOTE', message }));
    return { ...result, warnings: [...notes, ...warnings] };
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

/** So many times as much of one class as of the other is in no chest, and so little says nothing. */
const MOST_RATIO = 4;
const LEAST_ML = 20;

/** Says so where arteries and veins are not in proportion. */
function implausible({ targets }: Segmentation): Warning[] {
  const volumeOf = (name: string) => targets.find((target) => target.name === name)?.volumeMl;
  const [artery, vein] = [volumeOf('artery'), volumeOf('vein')];
  if (artery === undefined || vein === undefined || artery + vein < LEAST_ML) return [];
  if (Math.max(artery, vein) <= MOST_RATIO * Math.min(artery, vein)) return [];
  const told = `${artery.toFixed(0)} ml of arteries and ${vein.toFixed(0)} ml of veins`;
  const message = `${told} are out of proportion; check that the model suits this scan, and look at the labels`;
  return [{ code: 'IMPLAUSIBLE_RESULT', message }];
}

/** Warnings of the device, with which labels are the same. */
const OF_THE_DEVICE = ['CPU_INSTEAD', 'PLAIN_LAUNCHES'];

/** @throws StrictError where any is of the scan or its labels */
function refuseWarnings(all: Warning[]): void {
  const warnings = all.filter(({ code }) => !OF_THE_DEVICE.includes(code));
  if (warnings.length === 0) return;
  const told = warnings.map(({ code, message }) => `${message} [${code}]`).join('; ');
  const count = warnings.length === 1 ? 'A warning is a failure' : `${warnings.length} warnings are failures`;
  throw new StrictError('ERR_STRICT', `${count} here: ${told}.`, { hint: 'Without strict the labels are written.' });
}

function checkPreset({ preset, model, folds, checkpoint, quality = 'normal' }: LoadOptions): void {
  if (!PRESETS.some((known) => known === preset)) {
    throw new UsageError(`There is no preset "${preset}"; expected ${PRESETS.join(', ')}.`);
  }
  if (quality !== 'normal') throw new UsageError('A preset has its own way, so quality does not go with it.');
  if ((model ?? folds ?? checkpoint) === undefined) return;
  throw new UsageError('A preset has its own models, so model, folds and checkpoint do not go with it.');
}
