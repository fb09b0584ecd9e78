import { join } from 'node:path';
import test from 'ava';
import { evaluate, type Volume, writeVolume } from 'pulmoav';
import { chest, folder } from './fixture.js';

const { labels } = chest();
const empty: Volume<Uint8Array> = { ...labels, data: new Uint8Array(labels.data.length) };

test('a label map equals itself', async (t) => {
  const { artery, vein } = await evaluate(labels, labels);
  for (const [value, scores] of [[1, artery] as const, [2, vein] as const]) {
    const voxels = labels.data.filter((label) => label === value).length;
    t.like(scores, { dice: 1, predVoxels: voxels, refVoxels: voxels });
  }
});

test('nothing against nothing has no Dice; nothing against something has 0', async (t) => {
  t.is((await evaluate(empty, empty)).artery?.dice, null);
  t.is((await evaluate(empty, labels)).artery?.dice, 0);
  t.is((await evaluate(labels, empty)).artery?.dice, 0);
});

test('Dice is 2·|P ∩ R| ÷ (|P| + |R|)', async (t) => {
  const pred = { ...empty, data: empty.data.slice() };
  const ref = { ...empty, data: empty.data.slice() };
  pred.data.fill(1, 0, 30);
  ref.data.fill(1, 20, 60);
  t.is((await evaluate(pred, ref)).artery?.dice, 20 / 70);
});

test('grids that differ are ERR_GEOMETRY, for volumes and files', async (t) => {
  const moved = { ...labels, affine: labels.affine.map((value, at) => (at === 3 ? value + 5 : value)) };
  await t.throwsAsync(evaluate(labels, moved), { code: 'ERR_GEOMETRY' });
  const [pred, ref] = [join(folder(), 'pred.nii.gz'), join(folder(), 'ref.nii.gz')];
  await writeVolume(pred, labels);
  await writeVolume(ref, moved);
  await t.throwsAsync(evaluate(pred, ref), { code: 'ERR_GEOMETRY' });
  await t.throwsAsync(evaluate(pred, labels), { code: 'ERR_USAGE' });
  await t.throwsAsync(evaluate(pred, 'missing.nii.gz'), { code: 'ERR_IO' });
  t.is((await evaluate(pred, pred, { within: pred })).artery?.dice, 1);
});

test('what is no label map is refused', async (t) => {
  const half = { ...labels, data: Float32Array.from(labels.data, (label) => label / 2) };
  await t.throwsAsync(evaluate(half, labels), { code: 'ERR_GEOMETRY', message: /0\.5/ });
});
