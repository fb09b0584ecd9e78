import type { Progress as Reached, VoxelArray, VoxelVolume } from './native/binding.js';

export type { Axes, MeasuredStructure, VoxelArray, Warning } from './native/binding.js';

/** How far a call has come. */
export interface Progress extends Reached {
  /** About how many seconds the stage still takes, by what of it is done; missing before anything is. */
  secondsLeft?: number;
}

/** Voxels and where they are in the body: a plain object. */
export interface Volume<Data extends VoxelArray = VoxelArray> extends VoxelVolume {
  data: Data;
}

/**
 * Names a series of DICOM: its UID, or its number in the list of `listSeries`, from 1.
 */
export type SeriesName = string | number;

/** Options of every long call. */
export interface CallOptions {
  /** Cancels the call, which then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /** Called about ten times a second while there is something new. */
  onProgress?: ((progress: Progress) => void) | undefined;
}
