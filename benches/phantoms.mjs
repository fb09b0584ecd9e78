// The phantoms that benchmarks score on: seeds that no training run uses, made once and kept.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { phantom, readVolume, writeVolume } from '../dist/index.js';
import { stretch } from './resample.mjs';

/** Seeds from here on are never trained on. */
export const FIRST_SEED = 900_101;

/** `count` test phantoms from a seed on, made where they are missing; plain ones keep their voxels over versions. */
export async function testPhantoms({ shared, say }, count, seed = FIRST_SEED, style = 'plain') {
  const onProgress = ({ done, total }) => say(`phantoms ${done}/${total}`);
  const out = style === 'plain' ? shared : `${shared}-${style}`;
  return phantom({ out, count, seed, size: 'small', style, onProgress });
}

/** A phantom with another number of voxels, `[z, y, x]`, on the same body: a file, made once. */
export async function stretched({ name, image }, shape, { shared, say }) {
  const file = join(shared, `${name}-${shape.join('x')}.nii.gz`);
  if (existsSync(file)) return file;
  say(`making ${shape.join(' × ')} voxels`);
  await writeVolume(file, stretch(await readVolume(image), shape));
  return file;
}
