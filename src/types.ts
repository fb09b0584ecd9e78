import type { Progress, VoxelArray, VoxelVolume } from './native/binding.js';

export type { Axes, MeasuredStructure, Progress, VoxelArray, Warning } from './native/binding.js';

/** Voxels and where they are in the body: a plain object. */
export interface Volume<Data extends VoxelArray = VoxelArray> extends VoxelVolume {
  data: Data;
}

/** Options of every long call. */
export interface CallOptions {
  /** Cancels the call, which then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /** Called about ten times a second while there is something new. */
  onProgress?: ((progress: Progress) => void) | undefined;
}
