import type { CallMonitor, ErrorInfo, Forecast, Segmentation } from '../native/binding.js';
import type { Volume } from '../types.js';
import type { SegmentOptions } from './options.js';

/** What a network answers, or why it does not. */
export type Answer = Promise<Segmentation | ErrorInfo>;

/** What a network will take, or why nobody can say. */
export type Foretold = Promise<Forecast | ErrorInfo>;

/** A loaded model, whichever way it answers. */
export interface Network {
  /** How many networks answer together. */
  readonly folds: number;
  /** Its licence and what to cite, as far as they are known. */
  readonly terms: Terms;
  /** What a user should know of the model, a sentence each. */
  readonly notes: string[];
  /** Refuses options that this model has no use for. */
  check(options: SegmentOptions): void;
  segmentFiles(paths: string[], options: SegmentOptions, monitor: CallMonitor): Answer;
  segmentVolumes(volumes: Volume[], options: SegmentOptions, monitor: CallMonitor): Answer;
  /** What segmenting these files will take. */
  foretellFiles(paths: string[], options: SegmentOptions, monitor: CallMonitor): Foretold;
  dispose(): void;
}

/** Where a network runs. */
export interface Place {
  /** `cpu` or `cuda:N`. */
  device: string;
  /** Further GPUs, which share the work: tiles of networks with prompts, folds of nnU-Net's. */
  others?: readonly string[];
  /** `f32`, `tf32` or `bf16`. */
  precision: string;
  /** Threads of the CPU. */
  threads: number;
}

/** On which terms a model may be used. */
export interface Terms {
  /** `null` where nobody says. */
  licence: string | null;
  /** Papers to cite. */
  citations: string[];
}

/** Nothing is known. */
export const noTerms: Terms = { licence: null, citations: [] };
