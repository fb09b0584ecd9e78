import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ModelError, UsageError } from '../errors.js';
import { FINAL_CHECKPOINT } from '../models/family.js';
import type { CallMonitor } from '../native/binding.js';
import { addon } from '../native/load.js';
import { seriesOf } from '../options.js';
import type { CallOptions, Volume } from '../types.js';
import { ClassNetwork, refuse } from './classes.js';
import type { Answer, Foretold, Network, Place, Terms } from './network.js';
import type { SegmentOptions } from './options.js';
import { only } from './prompted.js';

/** One of TotalSegmentator's models, as its releases have it. */
interface Released {
  /** Folder, and name of the archive of the release. */
  dataset: string;
  trainer: string;
  release: string;
}

const LOBES: Released = {
  dataset: 'Dataset297_TotalSegmentator_total_3mm_1559subj',
  trainer: 'nnUNetTrainer_4000epochs_NoMirroring__nnUNetPlans__3d_fullres',
  release: 'v2.0.0-weights',
};
const VESSELS: Released = {
  dataset: 'Dataset117_lung_airways_arteries_veins_282subj',
  trainer: 'nnUNetTrainerSkeletonRecall__nnUNetPlans__3d_fullres',
  release: 'v2.5.0-weights',
};

const TERMS: Terms = {
  licence: 'Apache-2.0',
  citations: [
    'Wasserthal et al., TotalSegmentator, Radiology: AI 5(5) (2023), doi 10.1148/ryai.230024',
    'Isensee et al., nnU-Net, Nature Methods 18:203–211 (2021), doi 10.1038/s41592-020-01008-z',
    'the training data of lung_vessels, Scientific Data (2025), s41597-025-06074-6',
    'Kirchhoff et al., Skeleton recall loss, ECCV 2024, arXiv 2404.03010',
  ],
};

/** TotalSegmentator's task `lung_vessels`: the lobes' model finds the lungs, the vessels' model looks there. */
export class LungVessels implements Network {
  readonly folds = 1;
  readonly terms = TERMS;
  /** Folders of the lobes' model and of the vessels'. */
  readonly directories: [lobes: string, vessels: string];
  readonly #lobes: ClassNetwork;
  readonly #vessels: ClassNetwork;

  private constructor(directories: [string, string], lobes: ClassNetwork, vessels: ClassNetwork) {
    this.directories = directories;
    this.#lobes = lobes;
    this.#vessels = vessels;
  }

  /** @param weights TotalSegmentator's results folder; without it the one that TotalSegmentator itself would use */
  static async load(weights: string | undefined, place: Place, options: CallOptions): Promise<LungVessels> {
    const results = weights ?? resultsFolder(process.env);
    const [lobes, vessels] = [LOBES, VESSELS].map((released) => folderOf(results, released)) as [string, string];
    const load = (directory: string) => {
      const source = { directory, foreign: true, folds: ['0'], checkpoint: FINAL_CHECKPOINT };
      return ClassNetwork.load(source, place, options);
    };
    const first = await load(lobes);
    try {
      return new LungVessels([lobes, vessels], first, await load(vessels));
    } catch (error) {
      first.dispose();
      throw error;
    }
  }

  check({ keepLungs, postprocess, tidy, tilesAtOnce, step, mirror, probabilities }: SegmentOptions): void {
    refuse({ keepLungs, postprocess, tidy, tilesAtOnce }, "is for pulmoav's own networks");
    refuse({ step, mirror, probabilities }, 'is not for presets, which keep to the way they were published');
  }

  async segmentFiles(paths: string[], options: SegmentOptions, monitor: CallMonitor): Answer {
    const [lobes, vessels] = [this.#lobes.handle, this.#vessels.handle];
    return await addon().segmentLungVesselsFile(lobes, vessels, only(paths), requestOf(options), monitor);
  }

  async segmentVolumes(volumes: Volume[], options: SegmentOptions, monitor: CallMonitor): Answer {
    const [lobes, vessels] = [this.#lobes.handle, this.#vessels.handle];
    return await addon().segmentLungVesselsVolume(lobes, vessels, only(volumes), requestOf(options), monitor);
  }

  foretellFiles(): Foretold {
    throw new UsageError('What a preset takes cannot be foretold: how much its second model sees, the first one says.');
  }

  get notes(): string[] {
    return [...this.#lobes.notes, ...this.#vessels.notes];
  }

  dispose(): void {
    this.#lobes.dispose();
    this.#vessels.dispose();
  }
}

/** Where TotalSegmentator keeps its models: as its own environment variables say, else below the home folder. */
export function resultsFolder(environment: Record<string, string | undefined>, home = homedir()): string {
  const { TOTALSEG_WEIGHTS_PATH: weights, TOTALSEG_HOME_DIR: folder } = environment;
  if (weights) return weights;
  return join(folder || join(home === '/' ? '/tmp' : home, '.totalsegmentator'), 'nnunet', 'results');
}

function folderOf(results: string, { dataset, trainer, release }: Released): string {
  const folder = join(results, dataset, trainer);
  if (existsSync(folder)) return folder;
  throw new ModelError('ERR_MODEL', `TotalSegmentator's model "${dataset}" is not on this machine: no "${folder}".`, {
    hint: `Unpack ${dataset}.zip of the release ${release} of wasserth/TotalSegmentator into "${results}", or name another folder with --weights.`,
  });
}

function requestOf({ prompts, keepAirways, rawLabels, index, series, maxMemory }: SegmentOptions) {
  return {
    prompts: prompts ?? null,
    keepAirways: keepAirways ?? false,
    rawLabels: rawLabels ?? false,
    index: index ?? null,
    series: seriesOf({ series }),
    maxMemoryBytes: maxMemory ?? null,
  };
}
