import { UsageError } from './errors.js';
import { isSamePlace } from './files.js';
import { findNetworks } from './models.js';
import { addon, checkDevice } from './native/load.js';
import { call } from './progress.js';
import { type Segmentation, type SegmentedTarget, Segmenter } from './segment.js';
import type { CallOptions, Warning } from './types.js';
import { writeVolume } from './volume.js';

/** One scan to label, from file to file. */
export interface SegmentJob {
  /** The scan. */
  input: string;
  /** The label map, `.nii` or `.nii.gz`; never the input itself. */
  output: string;
  /** What to look for, in words. */
  prompts?: string[] | undefined;
  /** Name or directory of a model, or directory of a run. */
  model?: string | undefined;
  /** `auto`, `cpu` or `cuda[:N]`. */
  device?: string | undefined;
  /** Threads to compute with. */
  threads?: number | undefined;
  /** Most memory the process may use, bytes. */
  maxMemory?: number | undefined;
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
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
  const { input, output, model, device = 'auto', threads, probabilities } = job;
  checkDevice(device);
  await checkFiles(job);
  using segmenter = await Segmenter.load({ model, device, threads, signal: options.signal });
  const result = await segmenter.segment(input, {
    ...options,
    prompts: job.prompts,
    index: job.index,
    maxMemory: job.maxMemory,
    keepLungs: job.keepLungs,
    keepAirways: job.keepAirways,
    postprocess: job.postprocess,
    strict: job.strict,
    probabilities: probabilities !== undefined,
  });
  const writing = performance.now();
  if (probabilities !== undefined && result.probabilities) {
    const { labels, targets, probabilities: data } = result;
    const volume = { ...labels, data, prompts: targets.length };
    await call(options, (monitor) => addon().writeProbabilities(probabilities, volume, input, monitor));
  }
  await writeVolume(output, result.labels, { like: input, signal: options.signal });
  const now = performance.now();
  const [only, ...others] = findNetworks(model);
  return {
    output,
    model: others.length === 0 ? (only ?? '') : (model ?? ''),
    folds: segmenter.folds,
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
async function checkFiles({ input, output, probabilities }: SegmentJob): Promise<void> {
  await call({}, () => addon().inspect(input));
  if (probabilities !== undefined && isSamePlace(probabilities, output)) {
    throw new UsageError(`Labels and probabilities cannot both be written to "${output}".`);
  }
  for (const path of probabilities === undefined ? [output] : [output, probabilities]) {
    await call({}, () => addon().checkOutput(path, input));
  }
}
