import { defaultThreads } from './check.js';
import { UsageError } from './errors.js';
import { isSamePlace, refuseOld, refuseSamePlace } from './files.js';
import { labelNames } from './labels.js';
import { checkDevices, type Precision } from './native/device.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, type Kinds, PATH, SCANS, SWITCH, seriesOf } from './options.js';
import { call } from './progress.js';
import { type FileRecord, fileRecord, inputRecord, labelSource, modelHash, recordPath, writeRecord } from './record.js';
import {
  ASKING,
  type Forecast,
  LOADING,
  type LoadOptions,
  type Preset,
  type Quality,
  type Segmentation,
  type SegmentedTarget,
  Segmenter,
} from './segment.js';
import type { CallOptions, SeriesName, Warning } from './types.js';
import { readVolume, writeVolume } from './volume.js';

/** One scan to label, from file to file. */
export interface SegmentJob {
  /** The scan; of a model with several channels, one file a channel. */
  input: string | string[];
  /** The label map, `.nii`, `.nii.gz`, `.nrrd`, `.seg.nrrd`, `.mha` or, of DICOM, `.seg.dcm`; never the input itself. */
  output: string;
  /** What to look for, in words. */
  prompts?: string[] | undefined;
  /** Name or directory of a model, or directory of a run, or the trainer's folder of an nnU-Net v2 model. */
  model?: string | undefined;
  /** A published pipeline of several models, instead of a model. */
  preset?: Preset | undefined;
  /** Folder of the preset's models. */
  weights?: string | undefined;
  /** Folds of an nnU-Net folder whose mean answers. */
  folds?: string[] | undefined;
  /** File name of an nnU-Net folder's checkpoints. */
  checkpoint?: string | undefined;
  /** How much is computed for one answer. @default 'normal' */
  quality?: Quality | undefined;
  /** Show an nnU-Net model's windows mirrored too. */
  mirror?: boolean | undefined;
  /** Share of a window by which windows move on. */
  step?: number | undefined;
  /** Keep the values that a preset's model gives. */
  rawLabels?: boolean | undefined;
  /** `auto`, `cpu` or `cuda[:N]`. */
  device?: string | undefined;
  /** GPUs that share the work, `cuda:N`, in the place of `device`. */
  devices?: readonly string[] | undefined;
  /** What the network computes in: `f32`, or `tf32` or `bf16` on a GPU. */
  precision?: Precision | undefined;
  /** Threads to compute with. */
  threads?: number | undefined;
  /** Most memory the process may use, bytes. */
  maxMemory?: number | undefined;
  /** Windows that a GPU is shown at a time. @default as many as fit */
  tilesAtOnce?: number | undefined;
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
  series?: SeriesName | undefined;
  /** Write the lungs into the label map too, where it holds no vessel. */
  keepLungs?: boolean | undefined;
  /** Write the airways into the label map too. */
  keepAirways?: boolean | undefined;
  /** Post-process the labels, or not, whatever the plan says. */
  postprocess?: boolean | undefined;
  /** Give each branch one class, or not, whatever the plan says. */
  tidy?: boolean | undefined;
  /** Fail where there is anything to warn of, and write nothing. */
  strict?: boolean | undefined;
  /** Where to write probabilities, a 4-D NIfTI. */
  probabilities?: string | undefined;
  /**
   * Write `NAME.run.json` beside the label map: what it was made of (hashes of scan and model, options, versions) and
   * what this report says. @default false
   */
  record?: boolean | undefined;
  /** Replace a label map that is there; `false` refuses to. @default true */
  overwrite?: boolean | undefined;
}

/** What its fields must be. */
export const JOB_OPTIONS: Kinds<SegmentJob> = {
  ...LOADING,
  ...ASKING,
  input: SCANS,
  output: PATH,
  record: SWITCH,
  overwrite: SWITCH,
  probabilities: PATH,
};

/** What became of a {@link SegmentJob}. */
export interface SegmentReport {
  output: string;
  /** What says how the label map was made; `null` where it was not asked for. */
  record: string | null;
  /** The model's directory; the run's where several folds answered. */
  model: string;
  /** How many folds answered together; 1 for a single model. */
  folds: number;
  /** The model's licence, `null` where nobody says. */
  licence: string | null;
  /** Papers to cite. */
  citations: string[];
  /** What it ran on: `cpu` or `cuda:N`; several with commas between. */
  device: string;
  /** Why on this. */
  deviceReason: string;
  seconds: Segmentation['seconds'] & { write: number };
  memory: Segmentation['memory'];
  tile: Segmentation['tile'];
  clearedInAir: Segmentation['clearedInAir'];
  classDoubt: Segmentation['classDoubt'];
  tidied: Segmentation['tidied'];
  targets: SegmentedTarget[];
  structures: Segmentation['structures'];
  warnings: Warning[];
}

/**
 * Labels a scan from file to file. Whatever is wrong with the output's place is found before the work starts; the
 * output appears whole or not at all.
 *
 * @throws every error of this package
 */
export async function segmentToFile(job: SegmentJob, options: CallOptions = {}): Promise<SegmentReport> {
  const started = performance.now();
  checkOptions(options, CALL_OPTIONS);
  await checkJob(job, options.signal);
  if (job.overwrite === false) refuseOld(job.output);
  using segmenter = await Segmenter.load({ ...loading(job), signal: options.signal });
  return await labelFile(segmenter, job, options, started);
}

/** What a {@link SegmentJob} will take. */
export interface SegmentForecast extends Forecast {
  output: string;
  /** The model's directory; the run's where several folds answer. */
  model: string;
  folds: number;
  device: string;
  threads: number;
}

/**
 * Reads the scan and checks a job as {@link segmentToFile} does, and foretells what it will take; nothing is written.
 *
 * @throws every error of this package
 */
export async function foretellJob(job: SegmentJob, options: CallOptions = {}): Promise<SegmentForecast> {
  checkOptions(options, CALL_OPTIONS);
  await checkJob(job, options.signal);
  if (job.overwrite === false) refuseOld(job.output);
  const { signal } = options;
  // A header does not say that voxels are cut off, damaged or colours.
  for (const input of inputsOf(job)) await readVolume(input, { index: job.index, series: job.series, signal });
  using segmenter = await Segmenter.load({ ...loading(job), signal });
  const { prompts, probabilities, step, mirror, index, series, maxMemory, tilesAtOnce } = job;
  const rest = { index, series, maxMemory, tilesAtOnce };
  const asked = { prompts, step, mirror, ...rest, probabilities: probabilities !== undefined };
  const forecast = await segmenter.foretell(inputsOf(job), { ...asked, ...options });
  const { model, folds, device } = segmenter;
  return { output: job.output, model, folds, device, threads: job.threads ?? defaultThreads(), ...forecast };
}

/** Which model a job asks for, and on what it runs. */
export function loading(job: SegmentJob): LoadOptions {
  const { model, preset, weights, folds, checkpoint, device = 'auto', devices, precision, threads, quality } = job;
  return { model, preset, weights, folds, checkpoint, device, devices, precision, threads, quality };
}

/** The options of a job that its labels depend on. */
export function deciding(job: SegmentJob): object {
  const { prompts, preset, folds, checkpoint, mirror, step, rawLabels, index, keepLungs, keepAirways } = job;
  const { postprocess, tidy, probabilities, maxMemory, series, precision } = job;
  const asked = { prompts, preset, folds, checkpoint, mirror, step, rawLabels, index, keepLungs, keepAirways };
  const quality = job.quality === 'normal' ? undefined : job.quality;
  // A limit on memory changes the tile, and with it labels; whoever wants probabilities needs them made.
  return {
    ...asked,
    quality,
    postprocess,
    tidy,
    maxMemory,
    series,
    precision,
    probabilities: probabilities === undefined ? undefined : true,
  };
}

/**
 * Labels a scan from file to file with a loaded model; the job names the same one.
 *
 * @param started when the work began, for the report
 */
export async function labelFile(
  segmenter: Segmenter,
  job: SegmentJob,
  options: CallOptions = {},
  started = performance.now(),
): Promise<SegmentReport> {
  const { output, probabilities } = job;
  const inputs = inputsOf(job);
  const [input = ''] = inputs;
  const { signal } = options;
  // The disk is read while the processor is busy with the network; what goes wrong is told below.
  const hashes = job.record ? hashed(segmenter, inputs, signal) : null;
  hashes?.catch(() => {});
  const result = await segmenter.segment(inputs, {
    ...options,
    prompts: job.prompts,
    index: job.index,
    series: job.series,
    maxMemory: job.maxMemory,
    tilesAtOnce: job.tilesAtOnce,
    keepLungs: job.keepLungs,
    keepAirways: job.keepAirways,
    postprocess: job.postprocess,
    tidy: job.tidy,
    strict: job.strict,
    mirror: job.mirror,
    step: job.step,
    rawLabels: job.rawLabels,
    probabilities: probabilities !== undefined,
  });
  const writing = performance.now();
  if (probabilities !== undefined && result.probabilities) {
    const { labels, probabilities: data } = result;
    const volume = { ...labels, data, prompts: data.length / labels.data.length };
    await call(options, (monitor) => addon().writeProbabilities(probabilities, volume, input, monitor));
  }
  const labels = labelNames([...result.targets, ...result.structures]);
  await writeVolume(output, result.labels, { like: input, series: job.series, labels, signal });
  const now = performance.now();
  const report: SegmentReport = {
    output,
    record: hashes && recordPath(output),
    model: segmenter.model,
    folds: segmenter.folds,
    licence: segmenter.licence,
    citations: segmenter.citations,
    device: segmenter.device,
    deviceReason: segmenter.deviceReason,
    seconds: { ...result.seconds, write: (now - writing) / 1000, total: (now - started) / 1000 },
    memory: result.memory,
    tile: result.tile,
    clearedInAir: result.clearedInAir,
    classDoubt: result.classDoubt,
    tidied: result.tidied,
    targets: result.targets,
    structures: result.structures,
    warnings: result.warnings,
  };
  if (hashes) await keepRecord(job, report, await hashes);
  return report;
}

interface Hashes {
  model: string;
  inputs: FileRecord[];
}

async function hashed(segmenter: Segmenter, inputs: string[], signal: AbortSignal | undefined): Promise<Hashes> {
  const model = await modelHash(segmenter.directories, signal);
  const records: FileRecord[] = [];
  for (const input of inputs) records.push(await inputRecord(input, signal));
  return { model, inputs: records };
}

async function keepRecord(job: SegmentJob, report: SegmentReport, { model, inputs }: Hashes): Promise<void> {
  const { output, record: _, ...told } = report;
  await writeRecord(output, {
    source: labelSource(model, inputs, deciding(job)),
    inputs,
    output: await fileRecord(output),
    threads: job.threads ?? defaultThreads(),
    ...told,
  });
}

/** The files of a job's scan. */
export function inputsOf({ input }: SegmentJob): string[] {
  return typeof input === 'string' ? [input] : input;
}

/** Refuses what can be seen to be wrong before anything is loaded. */
export async function checkJob(job: SegmentJob, signal?: AbortSignal): Promise<void> {
  checkOptions(job, JOB_OPTIONS);
  const inputs = inputsOf(job);
  if (inputs.length === 0) throw new UsageError('No scan was given.');
  checkDevices(job);
  await checkFiles(inputs, job, signal);
}

/** Finds a missing or foreign input and a wrong place for an output, before anything is loaded. */
async function checkFiles(inputs: string[], job: SegmentJob, signal: AbortSignal | undefined): Promise<void> {
  const { output, probabilities, record } = job;
  const series = seriesOf(job);
  for (const input of inputs) await call({ signal }, (monitor) => addon().inspect(input, series, monitor));
  if (probabilities !== undefined && isSamePlace(probabilities, output)) {
    throw new UsageError(`Labels and probabilities cannot both be written to "${output}".`);
  }
  if (probabilities !== undefined && !/\.nii(\.gz)?$/i.test(probabilities)) {
    throw new UsageError(
      `Probabilities are written as NIfTI, but "${probabilities}" ends in neither .nii nor .nii.gz.`,
    );
  }
  for (const path of probabilities === undefined ? [output] : [output, probabilities]) {
    for (const input of inputs) await call({ signal }, (monitor) => addon().checkOutput(path, input, series, monitor));
  }
  if (record) refuseSamePlace(recordPath(output), inputs);
}
