import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  FormatError,
  info,
  isPulmoavError,
  labelNames,
  readVolume,
  UsageError,
  type Volume,
  writeSurface,
  writeVolume,
} from 'pulmoav';
import { chest, folder, listing, same, shared } from './fixture.js';

const shape: [number, number, number] = [3, 4, 5];
const geometry = {
  shape,
  spacingMm: [2.5, 1.5, 1.25] as [number, number, number],
  affine: [-1.25, 0, 0, 10, 0, 1.5, 0, -20, 0, 0, 2.5, 30.5, 0, 0, 0, 1],
};
const numbers = Array.from({ length: 60 }, (_, index) => (index * 37) % 101);
const volumes: Volume[] = [
  ...[Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array].map(
    (type) => ({ data: type.from(numbers), ...geometry }),
  ),
  { data: BigInt64Array.from(numbers.map((number) => BigInt(number) - 2n ** 60n)), ...geometry },
  { data: BigUint64Array.from(numbers.map((number) => BigInt(number) + 2n ** 63n)), ...geometry },
];

for (const volume of volumes) {
  const type = volume.data.constructor.name;
  test(`a ${type} comes back as it was`, async (t) => {
    for (const name of ['x.nii', 'x.nii.gz']) {
      const path = join(folder(), name);
      await writeVolume(path, volume);
      t.deepEqual(await readVolume(path), volume);
    }
  });
}

test('like keeps every header byte that need not change', async (t) => {
  const directory = folder();
  const [like, output] = [join(directory, 'like.nii'), join(directory, 'output.nii')];
  await writeVolume(like, { data: Int16Array.from(numbers), ...geometry });
  const bytes = readFileSync(like);
  bytes.write('a description', 148, 'latin1');
  bytes.writeFloatLE(3.5, 136);
  writeFileSync(like, bytes);
  await writeVolume(output, { data: Uint8Array.from(numbers), ...geometry }, { like });
  const [before, after] = [readFileSync(like), readFileSync(output)];
  const changed = Array.from({ length: 348 }, (_, at) => at).filter((at) => before[at] !== after[at]);
  const mayChange = (at: number) => (at >= 70 && at < 74) || (at >= 112 && at < 120) || (at >= 124 && at < 132);
  t.deepEqual(
    changed.filter((at) => !mayChange(at)),
    [],
  );
  t.deepEqual((await readVolume(output)).data, Uint8Array.from(numbers));
});

test('an output never replaces its own pattern, and a failure leaves the old file and nothing else', async (t) => {
  const directory = folder();
  const path = join(directory, 'a.nii.gz');
  const volume: Volume = { data: Uint8Array.from(numbers), ...geometry };
  await writeVolume(path, volume);
  const before = readFileSync(path);
  await t.throwsAsync(writeVolume(path, volume, { like: path }), { message: /a\.nii\.gz/ });
  await t.throwsAsync(writeVolume(join(directory, 'no', 'b.nii'), volume), { code: 'ERR_IO' });
  await t.throwsAsync(writeVolume(join(directory, 'b.jpg'), volume), { message: /\.nii/ });
  await t.throwsAsync(writeVolume(directory, volume));
  t.deepEqual(readFileSync(path), before);
  t.deepEqual(listing(directory), ['a.nii.gz']);
});

test('volumes that do not fit themselves are refused', async (t) => {
  const path = join(folder(), 'x.nii');
  const good: Volume = { data: Uint8Array.from(numbers), ...geometry };
  const bad: unknown[] = [
    null,
    'text',
    { ...good, shape: [3, 4] },
    { ...good, shape: [3, 4, 6] },
    { ...good, shape: [3, 4, 0] },
    { ...good, spacingMm: [1, 1, Number.NaN] },
    { ...good, affine: [1, 0, 0] },
    { ...good, affine: geometry.affine.map((value, at) => (at === 3 ? Number.POSITIVE_INFINITY : value)) },
    { ...good, data: numbers },
    { ...good, data: new Uint8ClampedArray(60) },
  ];
  for (const volume of bad) {
    await t.throwsAsync(writeVolume(path, volume as Volume), { instanceOf: UsageError, code: 'ERR_USAGE' });
  }
  await t.throwsAsync(readVolume(''), { instanceOf: UsageError });
  await t.throwsAsync(readVolume(7 as unknown as string), { instanceOf: UsageError });
  await t.throwsAsync(readVolume(path, { index: -1 }), { instanceOf: UsageError });
});

test('what is no volume is one typed error', async (t) => {
  const directory = folder();
  const text = join(directory, 'text.nii');
  writeFileSync(text, 'not a volume\n'.repeat(100));
  await t.throwsAsync(readVolume(text), { instanceOf: FormatError, code: 'ERR_FORMAT', message: /text\.nii/ });
  await t.throwsAsync(readVolume(join(directory, 'none.nii')), { code: 'ERR_IO', message: /none\.nii/ });
  await t.throwsAsync(readVolume(directory), { code: 'ERR_FORMAT', message: /holds no DICOM file/ });
  await t.throwsAsync(info(directory), { code: 'ERR_FORMAT', message: /holds no DICOM file/ });
});

interface Expected {
  error?: string;
  dtype?: string;
  shape: number[];
  affine: number[][];
  axcodes: string;
  sum?: number;
}

/** What nibabel says of each file (python writes NaN, which JSON does not know). */
function expectations(path: string): [string, Expected][] {
  const file = join(shared, 'nifti', path);
  if (!existsSync(file)) return [];
  return Object.entries(JSON.parse(readFileSync(file, 'utf8').replaceAll(': NaN', ': null')));
}

test('every shared file reads as nibabel reads it, or is one typed error', async (t) => {
  const files = expectations('expected_nibabel.json');
  if (files.length === 0) {
    t.log('skipped: no ../shared/data');
    return t.pass();
  }
  for (const [name, expected] of files) {
    const path = join(shared, name);
    if (expected.error || /complex|rgb/.test(expected.dtype ?? '')) {
      const error = await quickly(readVolume(path)).catch((reason: unknown) => reason);
      t.true(isPulmoavError(error) && ['ERR_FORMAT', 'ERR_IO'].includes(error.code), `${name}: ${error}`);
      continue;
    }
    const header = await info(path);
    const [nx, ny, nz, ...extra] = [...expected.shape, 1, 1, 1];
    t.deepEqual(header.shape, [nz, ny, nx] as [number, number, number], name);
    t.is(header.axcodes, expected.axcodes, name);
    closeTo(t, header.affine, expected.affine.flat(), name);
    const beyond = extra.slice(0, Math.max(0, expected.shape.length - 3));
    const index = beyond.some((length) => length > 1) ? { index: 0 } : {};
    if ('index' in index) await t.throwsAsync(readVolume(path), { code: 'ERR_GEOMETRY' }, name);
    const { data, shape: read } = await quickly(readVolume(path, index));
    t.is(data.length, read[0] * read[1] * read[2], name);
  }
});

test('made files read right or are one typed error within a second', async (t) => {
  const files = expectations('made/expected.json');
  if (files.length === 0) {
    t.log('skipped: no ../shared/data');
    return t.pass();
  }
  for (const [name, expected] of files) {
    const found = await quickly(readVolume(join(shared, 'nifti', name))).catch((reason: unknown) => reason);
    if (isPulmoavError(found)) {
      t.true(['ERR_FORMAT', 'ERR_GEOMETRY', 'ERR_IO'].includes(found.code), `${name}: ${found}`);
      t.regex(name, /hostile/, `${name} should be read, but: ${found.message}`);
      continue;
    }
    if (found instanceof Error) throw found;
    const { data } = found as Volume;
    if (expected.sum !== undefined) {
      t.is(
        Array.from(data as Int16Array, Number).reduce((sum, value) => sum + value, 0),
        expected.sum,
        name,
      );
    }
  }
});

test('gzip under the name .nii is read too', async (t) => {
  const directory = folder();
  const volume: Volume = { data: Uint8Array.from(numbers), ...geometry };
  await writeVolume(join(directory, 'x.nii.gz'), volume);
  copyFileSync(join(directory, 'x.nii.gz'), join(directory, 'x.nii'));
  t.deepEqual(await readVolume(join(directory, 'x.nii')), volume);
});

/** Fails what takes longer than a second, or than ten on a machine that does something else meanwhile. */
async function quickly<T>(work: Promise<T>): Promise<T> {
  const started = performance.now();
  const [outcome] = await Promise.allSettled([work]);
  const seconds = (performance.now() - started) / 1000;
  if (seconds > 10) throw new Error(`took ${seconds} s`);
  return outcome.status === 'fulfilled' ? outcome.value : Promise.reject(outcome.reason);
}

function closeTo(t: { true(value: boolean, message: string): unknown }, got: number[], want: number[], name: string) {
  for (const [at, value] of want.entries()) {
    const difference = Math.abs((got[at] ?? Number.NaN) - value);
    t.true(difference <= 4e-16 * Math.max(1e-6, Math.abs(value)), `${name}: affine[${at}] is ${got[at]}, not ${value}`);
  }
}

test('label maps are written with their names in every format, and come back', async (t) => {
  const { labels } = chest();
  const names = labelNames([
    { value: 1, name: 'artery' },
    { value: 2, name: 'left vein' },
  ]);
  t.deepEqual(names[1]?.code, { value: '122972007', meaning: 'Pulmonary vein', side: ['7771000', 'Left'] });
  const at = folder();
  for (const ending of ['nii', 'nii.gz', 'nrrd', 'seg.nrrd', 'mha']) {
    const path = join(at, `labels.${ending}`);
    await writeVolume(path, labels, { labels: names });
    const found = await readVolume(path);
    t.true(same(found.data, labels.data), ending);
    const apart = found.affine.map((value, index) => Math.abs(value - (labels.affine[index] ?? 0)));
    t.true(Math.max(...apart) < 1e-6, ending);
  }
  t.regex(readFileSync(join(at, 'labels.seg.nrrd'), 'latin1'), /\nSegment1_Name:=left vein\n/);
  const wrong = { labels: [{ value: 0, name: 'nothing', colour: [0, 0, 0] as [number, number, number] }] };
  await t.throwsAsync(writeVolume(join(at, 'x.nrrd'), labels, wrong), { code: 'ERR_USAGE' });
  await t.throwsAsync(writeVolume(join(at, 'x.png'), labels), {
    code: 'ERR_USAGE',
    message: /\.nrrd, \.mha or \.dcm/,
  });
});

test('surfaces enclose what the voxels fill, and say what they are', async (t) => {
  const at = folder();
  const map = join(at, 'labels.nii.gz');
  await writeVolume(map, chest().labels);
  for (const ending of ['stl', 'ply', 'glb']) {
    const parts = await writeSurface(map, join(at, `s.${ending}`));
    t.deepEqual(
      parts.map(({ value, name }) => [value, name]),
      [
        [1, 'label 1'],
        [2, 'label 2'],
      ],
    );
    for (const { voxelsMl, surfaceMl } of parts) t.true(Math.abs(surfaceMl / voxelsMl - 1) < 0.03);
  }
  const glb = readFileSync(join(at, 's.glb'));
  t.is(glb.toString('latin1', 0, 4), 'glTF');
  t.is(glb.readUInt32LE(8), glb.length);
  const labels = labelNames([{ value: 2, name: 'vein' }]);
  const [vein, ...others] = await writeSurface(map, join(at, 's.stl'), { labels });
  t.deepEqual([vein?.name, others.length], ['vein', 0]);
  t.is(readFileSync(join(at, 's.stl')).length, 84 + 50 * (vein?.triangles ?? 0));
  t.deepEqual(await writeSurface(map, join(at, 's.glb'), { values: [9] }), []);
  await t.throwsAsync(writeSurface(map, join(at, 's.obj')), { code: 'ERR_USAGE' });
  await t.throwsAsync(writeSurface(map, map), { code: 'ERR_USAGE' });
});
