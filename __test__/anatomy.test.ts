import { join } from 'node:path';
import test from 'ava';
import { type Anatomy, anatomy, type ErrorCode, readVolume, UsageError, writeVolume } from 'pulmoav';
import { chest, folder, same } from './fixture.js';

const { ct } = chest();

/** Voxels of a structure by its name. */
function voxels({ structures }: Anatomy, name: string): number {
  return structures.find((structure) => structure.name === name)?.voxels ?? 0;
}

test('a label map lies on the scan’s own grid, and its counts are the structures’', async (t) => {
  const found = await anatomy(ct);
  const { data: _, ...geometry } = ct;
  const { data, ...place } = found.labels;
  t.deepEqual(place, geometry);
  t.true(data instanceof Uint8Array);
  t.deepEqual(
    found.structures.map(({ value, name }) => [value, name]),
    [
      [1, 'body'],
      [2, 'mediastinum'],
      [3, 'left lung'],
      [4, 'right lung'],
      [5, 'airways'],
    ],
  );
  for (const { value, voxels, volumeMl } of found.structures) {
    t.is(data.filter((label) => label === value).length, voxels);
    t.true(Math.abs(volumeMl - voxels * 0.049) < 1e-6 * Math.max(1, volumeMl));
  }
  t.true(voxels(found, 'left lung') > 10_000 && voxels(found, 'right lung') > 10_000);
  t.true(found.carinaMm === null || found.carinaMm.length === 3);
  t.deepEqual(Object.keys(found.seconds), ['load', 'find', 'draw', 'total']);
  t.true(found.memory.peakBytes > 0);
});

test('left is the patient’s left, whichever way the voxels run', async (t) => {
  const affine = [...ct.affine];
  affine[0] = -(affine[0] ?? 0);
  const [found, mirrored] = [await anatomy(ct), await anatomy({ ...ct, affine })];
  // The fixture's lungs differ in width, so that a swap shows.
  t.true(voxels(found, 'left lung') > voxels(found, 'right lung'));
  t.true(voxels(mirrored, 'left lung') < voxels(mirrored, 'right lung'));
});

test('a path gives what its volume gives, for any number of threads', async (t) => {
  const path = join(folder(), 'chest.nii.gz');
  await writeVolume(path, ct);
  const [first, second] = [await anatomy(path, { threads: 1 }), await anatomy(await readVolume(path), { threads: 2 })];
  t.true(same(first.labels.data, second.labels.data));
  t.deepEqual(first.structures, second.structures);
});

test('what cannot be labelled is one typed error', async (t) => {
  const cases: [Promise<unknown>, ErrorCode][] = [
    [anatomy('no-such-file.nii.gz'), 'ERR_IO'],
    [anatomy(folder()), 'ERR_FORMAT'],
    [anatomy(''), 'ERR_USAGE'],
    [anatomy({ ...ct, shape: [1, 2, 3] }), 'ERR_USAGE'],
    [anatomy({ ...ct, affine: new Array<number>(16).fill(0) }), 'ERR_GEOMETRY'],
  ];
  for (const [failing, code] of cases) await t.throwsAsync(failing, { code }, code);
  await t.throwsAsync(anatomy(ct, { threads: 0 }), { instanceOf: UsageError });
  await t.throwsAsync(anatomy(ct, { index: -1 }), { instanceOf: UsageError });
});

test('an aborted signal rejects with its reason', async (t) => {
  const reason = new Error('enough');
  await t.throwsAsync(anatomy(ct, { signal: AbortSignal.abort(reason) }), { is: reason });
  const controller = new AbortController();
  const running = anatomy(ct, { signal: controller.signal });
  controller.abort(reason);
  await t.throwsAsync(running, { is: reason });
});
