import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { phantom, readVolume, UsageError } from 'pulmoav';
import { folder, listing, same } from './fixture.js';

test('a phantom is a case of a data set, the same for its seed; one that is there is kept', async (t) => {
  const [first, second] = [folder(), folder()];
  const [made] = await phantom({ out: first, seed: 77, halfLabelled: true });
  if (!made) return t.fail();
  const description = JSON.parse(readFileSync(join(first, 'dataset.json'), 'utf8'));
  t.is(description.numTraining, 1);
  const { annotated, phase, scan } = made;
  t.like(description.cases[made.name], { annotated, phase, scan, seed: 77, style: 'hospital' });
  t.deepEqual(made.annotated, { sides: ['right'], classes: ['artery', 'vein'] });
  t.deepEqual(listing(first), [
    'airwaysTr',
    `airwaysTr/${made.name}.nii.gz`,
    'anatomyTr',
    `anatomyTr/${made.name}.nii.gz`,
    'dataset.json',
    'imagesTr',
    `imagesTr/${made.name}_0000.nii.gz`,
    'labelsTr',
    `labelsTr/${made.name}.nii.gz`,
    'lungsTr',
    `lungsTr/${made.name}.nii.gz`,
  ]);
  const [ct, labels] = [await readVolume(made.image), await readVolume(made.label)];
  t.deepEqual(labels.shape, ct.shape);
  t.true(ct.data instanceof Int16Array && ct.data.length <= 20e6);
  t.deepEqual(
    [...new Set(labels.data as Uint8Array)].sort((a, b) => a - b),
    [0, 1, 2],
  );
  const anatomy = await readVolume(made.anatomy);
  t.deepEqual(anatomy.affine, ct.affine);
  t.deepEqual(
    [...new Set(anatomy.data as Uint8Array)].sort((a, b) => a - b),
    [0, 1, 3, 4, 5, 6],
  );

  const [again] = await phantom({ out: second, seed: 77, halfLabelled: true });
  t.true(same(readFileSync(again?.image ?? ''), readFileSync(made.image)));
  t.true(same(readFileSync(again?.label ?? ''), readFileSync(made.label)));
  const started = performance.now();
  t.deepEqual(await phantom({ out: first, seed: 77, halfLabelled: true }), [made]);
  t.true(performance.now() - started < 1000);
});

test('a listed phantom that lacks a file is made again', async (t) => {
  const out = folder();
  const [made] = await phantom({ out, seed: 78 });
  if (!made) return t.fail();
  const before = readFileSync(made.anatomy);
  rmSync(made.anatomy);
  t.deepEqual(await phantom({ out, seed: 78 }), [made]);
  t.true(same(readFileSync(made.anatomy), before));
});

test('a plain phantom is another one, and never passes for one of hospital style', async (t) => {
  const out = folder();
  const [plain] = await phantom({ out, seed: 79, style: 'plain' });
  if (!plain) return t.fail();
  t.like(plain.scan, { style: 'plain', build: 'usual', cover: 'none', device: null });
  await t.throwsAsync(phantom({ out, seed: 79 }), { instanceOf: UsageError, message: /of another style/ });
  t.deepEqual(await phantom({ out, seed: 79, style: 'plain' }), [plain]);
  const file = join(out, 'dataset.json');
  const description = JSON.parse(readFileSync(file, 'utf8'));
  // What was written before there were styles is plain.
  delete description.cases[plain.name].style;
  writeFileSync(file, JSON.stringify(description));
  t.deepEqual(await phantom({ out, seed: 79, style: 'plain' }), [plain]);
});

test('wrong wishes and foreign folders are refused', async (t) => {
  const out = folder();
  await t.throwsAsync(phantom({ out, count: 0 }), { instanceOf: UsageError });
  await t.throwsAsync(phantom({ out, seed: 1.5 }), { instanceOf: UsageError });
  await t.throwsAsync(phantom({ out: '' }), { instanceOf: UsageError });
  writeFileSync(join(out, 'dataset.json'), '{"what": 1}');
  await t.throwsAsync(phantom({ out }), { code: 'ERR_FORMAT', message: /dataset\.json/ });
  writeFileSync(join(out, 'dataset.json'), '{');
  await t.throwsAsync(phantom({ out }), { code: 'ERR_FORMAT', message: /dataset\.json/ });
  await t.throwsAsync(phantom({ out: join(out, 'dataset.json', 'x') }), { code: 'ERR_IO' });
});

test('an aborted phantom leaves no file behind', async (t) => {
  const out = folder();
  const reason = new Error('enough');
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 300);
  await t.throwsAsync(phantom({ out, signal: controller.signal }), { is: reason });
  t.deepEqual(listing(out), ['airwaysTr', 'anatomyTr', 'imagesTr', 'labelsTr', 'lungsTr']);
});
