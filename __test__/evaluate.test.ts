import { join } from 'node:path';
import test from 'ava';
import { evaluate, evaluateCase, listScores, type Volume, writeVolume } from 'pulmoav';
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

test('scores are asked for by group and by name, and described', async (t) => {
  const known = listScores();
  t.deepEqual(new Set(known.map(({ group }) => group)), new Set(['overlap', 'surface', 'skeleton', 'tree']));
  const { artery } = await evaluate(labels, labels);
  t.deepEqual(
    Object.keys(artery ?? {}),
    known.filter(({ group }) => group === 'overlap').map(({ name }) => name),
  );
  const all = await evaluate(labels, labels, { scores: ['all'] });
  t.deepEqual(
    Object.keys(all.artery ?? {}),
    known.map(({ name }) => name),
  );
  t.like(all.vessels, { hd100: 0, assd: 0, nsd05mm: 1, clDice: 1, branchesDetected: 1, betti0Error: 0, swapRate: 0 });
  const some = await evaluate(labels, labels, { scores: ['dice', 'hd95'] });
  t.deepEqual(some.vein, { dice: 1, hd95: 0 });
  t.is((await evaluate(labels, labels, { centrelines: true })).artery?.clDice, 1);
  await t.throwsAsync(evaluate(labels, labels, { scores: ['dize'] }), { code: 'ERR_USAGE', message: /dize/ });
});

test('the rules of a case say which rows had nothing', async (t) => {
  const { rules, scores } = await evaluateCase(empty, labels, { scores: ['overlap', 'surface'] });
  t.deepEqual(rules.find(({ name }) => name === 'emptyPrediction')?.targets, ['artery', 'vein', 'vessels']);
  t.like(scores.artery, { dice: 0, hd95: null, nsd1mm: 0, precision: null });
});

test('a half-labelled reference is scored on its side, a grid that differs is resampled when asked', async (t) => {
  const [depth, height, width] = labels.shape;
  const at = folder();
  // The affine may turn the axes, but halves along x are halves.
  const data = Uint8Array.from(labels.data, (_, voxel) => (voxel % width < width / 2 ? 1 : 2));
  const lungs = join(at, 'lungs.nii.gz');
  await writeVolume(lungs, { ...labels, data });
  const half = { ...labels, data: labels.data.map((label, voxel) => (data[voxel] === 1 ? label : 0)) };
  const options = { lungs, annotatedSides: ['left'] as const };
  const found = await evaluate(labels, half, options);
  t.is(found.vessels?.dice, 1);
  t.is(found['vessels in the right lung']?.dice, null);
  await t.throwsAsync(evaluate(labels, half, { annotatedSides: ['left'] }), { code: 'ERR_USAGE' });
  const planes = depth - 1;
  const shorter = {
    ...labels,
    data: labels.data.slice(0, planes * height * width),
    shape: [planes, height, width] as [number, number, number],
  };
  await t.throwsAsync(evaluate(shorter, labels), { code: 'ERR_GEOMETRY', message: /mm away.*--resample/s });
  const resampled = await evaluateCase(shorter, labels, { resample: true });
  t.true((resampled.scores.vessels?.dice ?? 0) > 0.9);
  t.true(resampled.rules.some(({ name }) => name === 'resampled'));
});

test('arteries and veins of two files follow the policy of their overlap', async (t) => {
  const at = folder();
  const [arteries, veins, pred] = ['a', 'v', 'p'].map((name) => join(at, `${name}.nii.gz`)) as [string, string, string];
  const mask = (is: (label: number) => boolean) => ({ ...labels, data: labels.data.map((label) => Number(is(label))) });
  await writeVolume(pred, labels);
  await writeVolume(
    arteries,
    mask((label) => label > 0),
  );
  await writeVolume(
    veins,
    mask((label) => label === 2),
  );
  const dice = async (overlap: 'ignore' | 'artery' | 'vein') => {
    const { artery, vein } = await evaluate(pred, arteries, { refVeins: veins, overlap });
    return [artery?.dice, vein?.dice];
  };
  t.deepEqual(await dice('vein'), [1, 1]);
  t.deepEqual(await dice('ignore'), [1, null]);
  t.is((await dice('artery'))[1], 0);
});

test('values that no target has count as background, aloud; a map of them alone is refused', async (t) => {
  const kept = {
    ...labels,
    data: labels.data.map((label, at) => (label === 0 && at % 3 === 0 ? 10 + (at % 2) : label)),
  };
  const [alone, beside] = [await evaluateCase(labels, labels), await evaluateCase(kept, labels)];
  t.deepEqual(beside.scores, alone.scores);
  t.regex(beside.rules.find(({ name }) => name === 'otherLabels')?.text ?? '', /10, 11/);
  t.false(alone.rules.some(({ name }) => name === 'otherLabels'));
  await t.throwsAsync(evaluate(labels, kept), { code: 'ERR_GEOMETRY', message: /reference holds label 1/ });
  const foreign = { ...labels, data: labels.data.map((label) => (label === 0 ? 0 : 17)) };
  await t.throwsAsync(evaluate(foreign, labels), { code: 'ERR_GEOMETRY', message: /17/ });
});

test('what counts is counted: all voxels, or those that are not ignored', async (t) => {
  const veins = labels.data.filter((label) => label === 2).length;
  t.is((await evaluateCase(labels, labels)).countedVoxels, labels.data.length);
  t.is((await evaluateCase(labels, labels, { ignore: [2] })).countedVoxels, labels.data.length - veins);
});
