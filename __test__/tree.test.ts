import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type ErrorCode, tidy, tree, treeToFolder, UsageError, type Volume, writeVolume } from 'pulmoav';
import { folder } from './fixture.js';

/** A trunk along x that forks into two, artery; a loose piece of vein; voxels of 1 mm. */
function vessels(): Volume<Uint8Array> {
  const shape: [number, number, number] = [12, 60, 80];
  const data = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let at = 0; at < data.length; at++) {
    const [z, y, x] = [Math.floor(at / 4800), Math.floor(at / 80) % 60, at % 80];
    const away = x < 40 ? Math.abs(y - 30) : Math.abs(Math.abs(y - 30) - 0.6 * (x - 40));
    if (Math.hypot(z - 6, away) <= 2.5 && x > 3 && x < 76) data[at] = 1;
    if (Math.hypot(z - 6, y - 30) <= 2 && x > 66 && x < 76) data[at] = 2;
  }
  return { data, shape, spacingMm: [1, 1, 1], affine: [-1, 0, 0, 40, 0, -1, 0, 30, 0, 0, 1, 0, 0, 0, 0, 1] };
}

test('a fork is three branches, from the trunk outwards, in RAS mm', async (t) => {
  const { trees } = await tree(vessels(), { exports: true });
  t.deepEqual(
    trees.map(({ name, value }) => [name, value]),
    [
      ['artery', 1],
      ['vein', 2],
    ],
  );
  const [artery] = trees;
  t.is(artery?.branches.length, 3);
  t.deepEqual(artery?.branches.map(({ generation, strahler }) => [generation, strahler])[0], [0, 2]);
  t.true(artery?.branches.every(({ radiusMm }) => Math.abs(radiusMm - 2.5) < 0.6));
  const [x] = artery?.branches[0]?.points[0] ?? [];
  t.true(x !== undefined && x > 30, 'the root is at the trunk, where x is small and R large');
  t.true(artery?.swc?.startsWith('# artery'));
});

test('a folder holds a report, a picture and three files a class', async (t) => {
  const input = join(folder(), 'vessels.nii.gz');
  await writeVolume(input, vessels());
  const out = join(folder(), 'out');
  const report = await treeToFolder({ input, out });
  for (const path of [report.files.report, report.files.picture, ...report.files.trees]) t.true(existsSync(path), path);
  const whole = JSON.parse(readFileSync(report.files.report, 'utf8'));
  t.is(whole.schemaVersion, 1);
  t.is(whole.trees[0].branches.length, report.trees[0]?.branches);
});

test('what cannot be measured is one typed error', async (t) => {
  const cases: [Promise<unknown>, ErrorCode][] = [
    [tree('no-such-file.nii.gz'), 'ERR_IO'],
    [tree(''), 'ERR_USAGE'],
    [tree({ ...vessels(), shape: [1, 2, 3] }), 'ERR_USAGE'],
    [tidy('no-such-file.nii.gz'), 'ERR_IO'],
  ];
  for (const [failing, code] of cases) await t.throwsAsync(failing, { code }, code);
  await t.throwsAsync(tree(vessels(), { values: [] }), { instanceOf: UsageError });
  await t.throwsAsync(tree(vessels(), { values: [1, 1] }), { instanceOf: UsageError });
  await t.throwsAsync(tidy('labels.nii.gz', { artery: 2 }), { instanceOf: UsageError });
  const reason = new Error('enough');
  await t.throwsAsync(tree(vessels(), { signal: AbortSignal.abort(reason) }), { is: reason });
});

test('an empty map has no tree and says so', async (t) => {
  const map = vessels();
  const { trees, warnings } = await tree({ ...map, data: new Uint8Array(map.data.length) });
  t.deepEqual([trees.length, warnings.map(({ code }) => code)], [0, ['EMPTY_RESULT']]);
});

test('tidying gives a stretch the class of its branch', async (t) => {
  const map = vessels();
  for (let at = 0; at < map.data.length; at++) {
    const x = at % 80;
    if (map.data[at] === 1 && x >= 20 && x < 26) map.data[at] = 2;
  }
  const path = join(folder(), 'swapped.nii.gz');
  await writeVolume(path, map);
  const { changes, labels } = await tidy(path);
  t.true(changes.some(({ from, to }) => from === 2 && to === 1));
  t.is(labels.data[(6 * 60 + 30) * 80 + 23], 1);
});
