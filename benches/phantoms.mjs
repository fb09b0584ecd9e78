// The phantoms that benchmarks score on: seeds that no training run uses, made once and kept.
import { phantom } from '../dist/index.js';

/** Seeds from here on are never trained on. */
export const FIRST_SEED = 900_101;

/** The first `count` test phantoms, made where they are missing. */
export async function testPhantoms({ shared, say }, count) {
  const onProgress = ({ done, total }) => say(`phantoms ${done}/${total}`);
  return phantom({ out: shared, count, seed: FIRST_SEED, size: 'small', onProgress });
}
