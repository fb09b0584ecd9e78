import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { FormatError, info, labelNames, listSeries, readVolume, UsageError, writeVolume } from 'pulmoav';
import { object, pulmoav } from './command.js';
import { writeSeries } from './dicom-files.js';
import { chest, folder, listing, same, smallestModel } from './fixture.js';

const { ct, labels } = chest();
const study = join(folder(), 'study');
writeSeries(study, ct, { uid: '1.2.3.1', number: 4, description: 'Chest' });
const names = labelNames([
  { value: 1, name: 'artery' },
  { value: 2, name: 'left vein' },
]);

test('labels go out as a segmentation of their series and come back', async (t) => {
  const path = join(folder(), 'labels.seg.dcm');
  await writeVolume(path, labels, { like: study, labels: names });
  const found = await readVolume(path);
  t.true(same(found.data, labels.data));
  t.deepEqual(found.shape, labels.shape);
  for (const [at, value] of found.affine.entries()) t.true(Math.abs(value - (labels.affine[at] ?? 0)) < 1e-6);
  t.like(await info(path), { format: 'dicom', dataType: 'uint8' });
  t.deepEqual(await listSeries(path), []);
  const text = readFileSync(path, 'latin1');
  for (const words of ['81040000', '122972007', '7771000', 'Phantom^Test', '1.2.3.1.17']) t.true(text.includes(words));
});

test('what cannot be a segmentation is refused in one sentence', async (t) => {
  const path = join(folder(), 'labels.seg.dcm');
  await t.throwsAsync(writeVolume(path, labels, { labels: names }), { instanceOf: FormatError, message: /series/ });
  await t.throwsAsync(writeVolume(path, ct, { like: study }), { instanceOf: FormatError, message: /is for labels/ });
  const scan = join(folder(), 'scan.nii.gz');
  await writeVolume(scan, ct);
  const refused = await pulmoav('segment', scan, '-o', path, '--json');
  t.is(refused.status, 3);
  t.is(object(refused).error?.code, 'ERR_FORMAT');
  t.regex(refused.stderr, /is no DICOM, and a DICOM segmentation refers to the series it was made of/);
  t.false(existsSync(path));
  await t.throwsAsync(writeVolume(path, labels, { like: study, labels: names, series: 0 }), { instanceOf: UsageError });
});

test('the command line goes from a folder of DICOM to a segmentation, one scan or many', async (t) => {
  const model = await smallestModel();
  const at = folder();
  const [dicom, nifti] = [join(at, 'labels.seg.dcm'), join(at, 'labels.nii.gz')];
  for (const output of [dicom, nifti]) {
    const more = output === dicom ? ['--preview', join(at, 'labels.png')] : ['--no-record'];
    const ended = await pulmoav('segment', study, '-o', output, '--model', model, '--keep-lungs', ...more);
    t.is(ended.status, 0, ended.stderr);
  }
  t.deepEqual(listing(at), ['labels.nii.gz', 'labels.png', 'labels.run.json', 'labels.seg.dcm']);
  const [one, other] = [await readVolume(dicom), await readVolume(nifti)];
  // The lungs keep their values, 10 and 11, though segments are numbered without a gap.
  t.true(same(one.data, other.data));
  t.true(new Set(one.data as Uint8Array).size >= 3);
  const out = folder();
  const many = await pulmoav('batch', study, '-o', out, '--model', model, '--format', 'seg.dcm');
  t.is(many.status, 0, many.stderr);
  t.deepEqual(listing(out), ['batch.json', 'study.run.json', 'study.seg.dcm']);
});

test('a NIfTI of labels holds their names and colours', async (t) => {
  const path = join(folder(), 'labels.nii');
  await writeVolume(path, labels, { labels: names });
  const text = readFileSync(path, 'latin1');
  t.regex(text, /<Label Key="2" Red="[\d.]+" Green="[\d.]+" Blue="[\d.]+" Alpha="1"><!\[CDATA\[left vein\]\]>/);
  // Read and written again like itself it has one table.
  const again = join(folder(), 'again.nii');
  await writeVolume(again, await readVolume(path), { like: path, labels: names });
  t.true(readFileSync(again).equals(readFileSync(path)));
});
