import { seriesOf } from './check.js';
import { UsageError } from './errors.js';
import { isSamePlace } from './files.js';
import { addon, checkDevice } from './native/load.js';
import { call } from './progress.js';
import { type Preset, type Segmentation, type SegmentedTarget, Segmenter } from './segment.js';
import type { CallOptions, SeriesName, Warning } from './types.js';
import { writeVolume } from './volume.js';

/** One scan to label, from file to file. */
export interface SegmentJob {
  /** The scan; of a model with several channels, one file a channel. */
  input: string | string[];
  /** The label map, `.nii` or `.nii.gz`; never the input itself. */
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
  /** Show an nnU-Net model's windows mirrored too. */
  mirror?: boolean | undefined;
  /** Share of a window by which an nnU-Net model's windows move on. */
  step?: number | undefined;
  /** Keep the values that a preset's model gives. */
  rawLabels?: boolean | undefined;
  /** `auto`, `cpu` or `cuda[:N]`. */
  device?: string | undefined;
  /** Threads to compute with. */
  threads?: number | undefined;
  /** Most memory the process may use, bytes. */
  maxMemory?: number | undefined;
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
  /** Refuse a prompt with a side where the scan leaves the sides unclear, instead of warning. */
  strict?: boolean | undefined;
  /** Where to write probabilities, a 4-D NIfTI. */
  probabilities?: string | undefined;
}

/** What became of a {@link SegmentJob}. */
export interface SegmentReport {
  output: string;
  /** The model's directory; the run's where several folds answered. */
  model: string;
  /** How many folds answered together; 1 for a single model. */
  folds: number;
  /** The model's licence, `null` where nobody says. */
  licence: string | null;
  /** Papers to cite. */
  citations: string[];
  device: string;
  seconds: Segmentation['seconds'] & { write: number };
  memory: Segmentation['memory'];
  tile: Segmentation['tile'];
  clearedInAir: Segmentation['clearedInAir'];
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
  const { output, model, preset, weights, folds, checkpoint, device = 'auto', threads, probabilities } = job;
  const inputs = typeof job.input === 'string' ? [job.input] : job.input;
  const [input] = inputs;
  if (input === undefined) throw new UsageError('No scan was given.');
  checkDevice(device);
  const { signal } = options;
  await checkFiles(inputs, job, signal);
  const loading = { model, preset, weights, folds, checkpoint, device, threads, signal };
  using segmenter = await Segmenter.load(loading);
  const result = await segmenter.segment(inputs, {
    ...options,
    prompts: job.prompts,
    index: job.index,
    series: job.series,
    maxMemory: job.maxMemory,
    keepLungs: job.keepLungs,
    keepAirways: job.keepAirways,
    postprocess: job.postprocess,
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
  await writeVolume(output, result.labels, { like: input, signal });
  const now = performance.now();
  return {
    output,
    model: segmenter.model,
    folds: segmenter.folds,
    licence: segmenter.licence,
    citations: segmenter.citations,
    device: 'cpu',
    seconds: { ...result.seconds, write: (now - writing) / 1000, total: (now - started) / 1000 },
    memory: result.memory,
    tile: result.tile,
    clearedInAir: result.clearedInAir,
    targets: result.targets,
    structures: result.structures,
    warnings: result.warnings,
  };
}

/** Finds a missing or foreign input and a wrong place for an output, before anything is loaded. */
async function checkFiles(inputs: string[], job: SegmentJob, signal: AbortSignal | undefined): Promise<void> {
  const { output, probabilities } = job;
  const series = seriesOf(job);
  for (const input of inputs) await call({ signal }, (monitor) => addon().inspect(input, series, monitor));
  if (probabilities !== undefined && isSamePlace(probabilities, output)) {
    throw new UsageError(`Labels and probabilities cannot both be written to "${output}".`);
  }
  for (const path of probabilities === undefined ? [output] : [output, probabilities]) {
    for (const input of inputs) await call({}, () => addon().checkOutput(path, input));
  }
}
