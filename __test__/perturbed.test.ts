import { join } from 'node:path';
import test from 'ava';
import { Segmenter, type Volume } from 'pulmoav';
import { folder, root, smallestModel } from './fixture.js';

/** What `scripts/perturbed.mjs` gives; its table is docs/guides/sanity.md. */
interface Perturbed {
  base(folder: string): Promise<{ scan: Volume; sides: Volume }>;
  perturbations(of: { scan: Volume; sides: Volume }, folder: string): [string, () => unknown, string[]][];
  told(segmenter: Segmenter, make: () => unknown): Promise<{ codes: string[]; words: string }>;
  isAsExpected(codes: string[], expected: string[]): boolean;
}

test('of each perturbed scan is said what is wrong, and of the scan itself nothing', async (t) => {
  const perturbed: Perturbed = await import(join(root, 'scripts/perturbed.mjs'));
  const at = folder();
  // Warnings come of the scan; which network looks at it does not matter.
  using segmenter = await Segmenter.load({ model: await smallestModel() });
  const cases = perturbed.perturbations(await perturbed.base(join(at, 'data')), at);
  t.true(cases.length >= 40);
  for (const [name, make, expected] of cases) {
    const { codes, words } = await perturbed.told(segmenter, make);
    t.true(
      perturbed.isAsExpected(codes, expected),
      `${name}: ${codes.join(' ')} (${words}), expected ${expected.join(' ')}`,
    );
  }
});
