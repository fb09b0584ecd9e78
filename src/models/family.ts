import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WEIGHTS } from './cache.js';

/**
 * How a model answers: `prompts`: a map a prompt, as ours do; `classes`: a class a voxel; `nnunet`: the same, in
 * nnU-Net's own folder.
 */
export type Family = 'prompts' | 'classes' | 'nnunet';

/** The checkpoint that nnU-Net itself takes. */
export const FINAL_CHECKPOINT = 'checkpoint_final.pth';

const versioned = z.object({ version: z.number() });

/** How the model in a directory answers, told by the files that describe it. */
export function familyOf(directory: string): Family {
  if (!existsSync(join(directory, WEIGHTS))) return looksLikeNnunet(directory) ? 'nnunet' : 'prompts';
  try {
    const plan = versioned.safeParse(JSON.parse(readFileSync(join(directory, 'plan.json'), 'utf8')));
    return plan.success && plan.data.version === 2 ? 'classes' : 'prompts';
  } catch {
    // What is wrong with it is told where it is loaded.
    return 'prompts';
  }
}

/** Whether a folder is nnU-Net's, or holds one: what is wrong with it is told where it is read. */
export function looksLikeNnunet(directory: string): boolean {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return false;
  const isNnunets = (name: string) => /^plans\.(json|pkl)$/.test(name) || /^[^_].*__.+__(2d|3d)/.test(name);
  return readdirSync(directory).some(isNnunets) || /__.+__(2d|3d)_?[a-z]*\/?$/.test(directory);
}
