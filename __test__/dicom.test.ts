import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  anatomy,
  FormatError,
  GeometryError,
  info,
  listSeries,
  readVolume,
  Segmenter,
  type SeriesInfo,
  UsageError,
  writeVolume,
} from 'pulmoav';
import { writeSeries } from './dicom-files.js';
import { chest, folder, root, same, shared } from './fixture.js';

const { ct } = chest();
const study = folder();
writeSeries(join(study, 'a'), ct, { uid: '1.2.3.1', number: 4, description: 'Chest 4.0 B70f' });

/** Runs the command line: its status and what it said. */
function pulmoav(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(root, 'dist/cli/main.js'), ...args], (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

test('a folder is read as the volume it was made of', async (t) => {
  const found = await readVolume(study);
  t.deepEqual(found.shape, ct.shape);
  t.deepEqual(found.spacingMm, ct.spacingMm);
  t.deepEqual(found.affine, ct.affine);
  t.true(found.data instanceof Int16Array && same(found.data, ct.data));
  t.like(await info(study), { format: 'dicom', dataType: 'int16', axcodes: 'RAS', warnings: [] });
  const [labels, again] = [await anatomy(study), await anatomy(ct)];
  t.true(same(labels.labels.data, again.labels.data));
});

test('series are listed, chosen by rule, by number and by UID', async (t) => {
  const place = folder();
  const half = { ...ct, data: ct.data.slice(0, ct.data.length / 2), shape: [24, 64, 88] as [number, number, number] };
  writeSeries(join(place, 'a'), half, { uid: '1.1', number: 7, description: 'Chest low' });
  writeSeries(join(place, 'b'), ct, { uid: '1.2', number: 5, description: 'Chest full' });
  writeSeries(join(place, 'c'), half, { uid: '1.3', modality: 'PT' });
  const series = await listSeries(place);
  t.deepEqual(
    series.map(({ number, uid, seriesNumber, slices, chosen }) => [number, uid, seriesNumber, slices, chosen]),
    [
      [1, '1.1', 7, 24, false],
      [2, '1.2', 5, 48, true],
    ],
  );
  const { warnings } = await info(place);
  t.deepEqual(
    warnings.map(({ code }) => code),
    ['FILES_SKIPPED', 'SERIES_CHOSEN'],
  );
  t.is((await readVolume(place, { series: 1 })).shape[0], 24);
  t.is((await readVolume(place, { series: '1.1' })).shape[0], 24);
  await t.throwsAsync(readVolume(place, { series: 3 }), { instanceOf: GeometryError, message: /no series `3`/ });
  await t.throwsAsync(readVolume(place, { series: 0 }), { instanceOf: UsageError });
  writeSeries(join(place, 'd'), ct, { uid: '1.4', number: 6, description: 'Chest sharp' });
  await t.throwsAsync(readVolume(place), {
    instanceOf: GeometryError,
    message: /3 series that could be meant.*1: Chest low.*2: Chest full \(series 5\), 48 slices.*3: Chest sharp/,
  });
  t.is((await listSeries(place)).filter((one) => one.chosen).length, 0);
});

test('what is no DICOM has no series', async (t) => {
  const file = join(folder(), 'ct.nii.gz');
  await writeVolume(file, ct);
  t.deepEqual(await listSeries(file), []);
  await t.throwsAsync(readVolume(file, { series: 1 }), { instanceOf: GeometryError, message: /is no DICOM/ });
  await t.throwsAsync(listSeries(folder()), { instanceOf: FormatError, message: /holds no DICOM file/ });
});

test('the command line lists, segments and explains', async (t) => {
  const listed = await pulmoav('info', study, '--json');
  t.is(listed.status, 0, listed.stderr);
  const told = JSON.parse(listed.stdout) as { schemaVersion: number; format: string; series: SeriesInfo[] };
  t.like(told, { schemaVersion: 1, format: 'dicom', shape: [48, 64, 88], problem: null });
  t.is(told.series.length, 1);
  t.regex((await pulmoav('info', study)).stdout, /1: Chest 4\.0 B70f, series 4: 48 × 64 × 88 of 4\.000/);
  const [fromDicom, fromNifti, nifti] = ['a.nii.gz', 'b.nii.gz', 'ct.nii.gz'].map((name) => join(folder(), name)) as [
    string,
    string,
    string,
  ];
  await writeVolume(nifti, ct);
  for (const [input, output] of [
    [study, fromDicom],
    [nifti, fromNifti],
  ] as const) {
    const ended = await pulmoav('segment', input, '-o', output);
    t.is(ended.status, 0, ended.stderr);
  }
  const [labels, wanted] = [await readVolume(fromDicom), await readVolume(fromNifti)];
  t.true(same(labels.data, wanted.data));
  t.deepEqual(labels.affine, wanted.affine);
  const refused = await pulmoav('segment', study, '-o', fromDicom, '--series', '9', '--json');
  t.is(refused.status, 3);
  t.is((JSON.parse(refused.stdout) as { error: { code: string } }).error.code, 'ERR_GEOMETRY');
});

test('a scan of others has the labels of its voxels from NRRD', async (t) => {
  const [path, nrrd] = [join(shared, 'dicom/cip_ct64'), join(shared, 'ct/cip/ct-64.nrrd')];
  if (!existsSync(path)) {
    t.log('skipped: no ../shared/data');
    return t.pass();
  }
  const [series, scan] = [await readVolume(path), await readVolume(nrrd)];
  t.true(same(series.data, scan.data));
  // The series has its places with six digits, so its slices are 0.000005 mm nearer to each other.
  for (const [at, value] of series.affine.entries()) t.true(Math.abs(value - (scan.affine[at] ?? 0)) < 1e-3);
  using segmenter = await Segmenter.load();
  const labels = await segmenter.segment(path);
  const wanted = await segmenter.segment({ ...series, data: scan.data });
  t.true(same(labels.labels.data, wanted.labels.data));
  t.deepEqual(labels.labels.affine, series.affine);
});
