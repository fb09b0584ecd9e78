import type { MeasuredCase } from './fingerprint.js';

/** An entry of `splits_final.json`. */
export interface Fold {
  train: string[];
  val: string[];
}

/**
 * Folds of which each labelled case is validated on in exactly one; cases with the same voxels go together, unlabelled
 * ones are only learnt from.
 */
export function makeFolds(measured: MeasuredCase[], count: number): Fold[] {
  const groups = new Map<string, string[]>();
  for (const { case: one, facts } of measured) {
    if (!one.labelled || !facts) continue;
    const group = groups.get(facts.content) ?? [];
    groups.set(facts.content, [...group, one.name]);
  }
  const dealt = [...groups.values()];
  const names = measured.filter(({ facts }) => facts).map(({ case: one }) => one.name);
  return Array.from({ length: count }, (_, fold) => {
    const val = dealt.filter((_, index) => index % count === count - 1 - fold).flat();
    return { train: names.filter((name) => !val.includes(name)), val };
  });
}
