import { readdirSync } from 'node:fs';
import { UsageError } from '../errors.js';
import type { Family } from '../models/family.js';
import type { SegmentOptions } from './options.js';

/** How much is computed for one answer. */
export const QUALITIES = ['fast', 'normal', 'best'] as const;

/** How much is computed for one answer: windows that overlap more or less, mirrored ones, one fold or all. */
export type Quality = (typeof QUALITIES)[number];

/** How windows lie. */
export type Windows = Pick<SegmentOptions, 'step' | 'mirror'>;

/** What of `normal`, which is the model's own way, the others change. */
const WINDOWS: Record<'prompts' | 'classes', Record<Quality, Windows>> = {
  prompts: { fast: { step: 0.9 }, normal: {}, best: { mirror: true } },
  classes: { fast: { step: 0.75, mirror: false }, normal: {}, best: { step: 1 / 3 } },
};

/**
 * Refuses a word that is no quality.
 *
 * @throws UsageError
 */
export function checkQuality(quality: unknown): asserts quality is Quality {
  if (QUALITIES.some((known) => known === quality)) return;
  throw new UsageError(`quality must be ${QUALITIES.join(', ')}, but it is ${JSON.stringify(quality)}.`);
}

/** How windows lie in a model that answers so. */
export function windowsOf(quality: Quality, family: Family): Windows {
  return WINDOWS[family === 'prompts' ? 'prompts' : 'classes'][quality];
}

/** The folds of an nnU-Net folder that answer where nobody names some; `undefined`: every numbered one. */
export function foldsOf(quality: Quality, directory: string): string[] | undefined {
  if (quality !== 'fast') return undefined;
  const numbers = readdirSync(directory).map((name) => /^fold_(\d+)$/.exec(name)?.[1] ?? '');
  const [first] = numbers.filter((number) => number !== '').sort((a, b) => Number(a) - Number(b));
  return first === undefined ? undefined : [first];
}
