import { errorOf } from '../errors.js';
import type { VoxelArray } from '../types.js';
import type { Outcome } from './binding.js';

/** What a successful call hands back. */
export interface Unwrapped<T> {
  value: T;
  arrays: VoxelArray[];
}

/** Turns a native outcome into its value, or throws the error class that goes with its code. */
export function unwrap<T>(outcome: Outcome, signal?: AbortSignal): Unwrapped<T> {
  if (outcome.error) {
    const { code, message, causes } = outcome.error;
    if (code === 'CANCELLED') signal?.throwIfAborted();
    const cause = causes.reduceRight<Error | undefined>(
      (inner, text) => new Error(text, inner && { cause: inner }),
      undefined,
    );
    throw errorOf(code, message, cause);
  }
  return { value: JSON.parse(outcome.json ?? 'null') as T, arrays: outcome.arrays as VoxelArray[] };
}
