import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { meanInterval } from '../dist/statistics/bootstrap.js';
import { meanOf } from '../dist/statistics/mean.js';
import { normalCdf, normalQuantile, normalTail } from '../dist/statistics/normal.js';
import { quantile } from '../dist/statistics/quantile.js';
import { Random } from '../dist/statistics/random.js';
import { wilcoxon } from '../dist/statistics/wilcoxon.js';
import { root } from './fixture.js';

interface Golden {
  wilcoxon: { name: string; differences: number[]; statistic: number; p: number; method: string }[];
  normal: { tail: [number, number][]; quantile: [number, number][] };
  bootstrap: { name: string; values: number[]; low: number; high: number }[];
  xoshiro: number[];
}
/** By scipy; evaluation.golden.py made it. */
const golden = JSON.parse(readFileSync(join(root, '__test__/evaluation.golden.json'), 'utf8')) as Golden;
const settings = { draws: 10_000, seed: 1, level: 0.95 };

function isNear(found: number, wanted: number, relative: number): boolean {
  return Math.abs(found - wanted) <= relative * Math.abs(wanted);
}

for (const { name, differences, statistic, p, method } of golden.wilcoxon) {
  test(`Wilcoxon's test equals scipy's: ${name}`, (t) => {
    const found = wilcoxon(differences);
    t.like(found, { statistic, method });
    t.true(found !== null && isNear(found.p, p, 1e-12), `${found?.p} ≠ ${p}`);
    const turned = wilcoxon(differences.map((difference) => -difference));
    t.deepEqual(turned, found, 'two-sided');
  });
}

test("Wilcoxon's test of no difference at all has no answer", (t) => {
  t.is(wilcoxon([0, 0, 0]), null);
  t.is(wilcoxon([]), null);
});

test('normal distribution: both tails and quantiles equal scipy’s', (t) => {
  for (const [z, tail] of golden.normal.tail) {
    t.true(isNear(normalTail(z), tail, 1e-12), `tail of ${z}`);
    t.true(isNear(normalCdf(-z), tail, 1e-12), `below ${-z}`);
  }
  for (const [share, z] of golden.normal.quantile) t.true(Math.abs(normalQuantile(share) - z) < 1e-10, `${share}`);
});

for (const { name, values, low, high } of golden.bootstrap) {
  test(`bootstrap intervals equal scipy's BCa: ${name}`, async (t) => {
    const found = await meanInterval(values, settings);
    // Of 10,000 draws each end is uncertain by about 2 % of the width.
    const tolerance = 0.06 * (high - low);
    t.true(found !== null && Math.abs(found.low - low) < tolerance && Math.abs(found.high - high) < tolerance);
    t.deepEqual(await meanInterval(values, settings), found, 'the same seed, the same interval');
    t.notDeepEqual(await meanInterval(values, { ...settings, seed: 2 }), found);
  });
}

test('bootstrap intervals of almost nothing', async (t) => {
  t.is(await meanInterval([], settings), null);
  t.is(await meanInterval([0.5], settings), null);
  t.deepEqual(await meanInterval([0.5, 0.5, 0.5], settings), { low: 0.5, high: 0.5 });
  const two = await meanInterval([0, 1], settings);
  t.true(two !== null && two.low >= 0 && two.high <= 1 && two.low < two.high);
  const reason = new Error('enough');
  await t.throwsAsync(meanInterval([1, 2], settings, AbortSignal.abort(reason)), { is: reason });
});

test('random numbers are xoshiro128**’s, and the same for the same seed', (t) => {
  const random = Random.from([1, 2, 3, 4]);
  t.deepEqual(
    golden.xoshiro.map(() => random.next()),
    golden.xoshiro,
  );
  const counts = new Array<number>(7).fill(0);
  const seeded = new Random(42);
  for (let draw = 0; draw < 70_000; draw++) {
    const place = seeded.below(7);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  // Four standard deviations of a count.
  for (const count of counts) t.true(Math.abs(count - 10_000) < 4 * Math.sqrt(10_000 * (6 / 7)), counts.join(' '));
  t.is(new Random(42).next(), new Random(42).next());
  t.not(new Random(0).next(), new Random(1).next());
});

test('means leave out what is not defined; quantiles lie between neighbours', (t) => {
  t.is(meanOf([1, null, 2]), 1.5);
  t.is(meanOf([null]), null);
  t.deepEqual(
    [0, 0.25, 0.5, 1].map((share) => quantile([1, 2, 4], share)),
    [1, 1.5, 2, 4],
  );
});
