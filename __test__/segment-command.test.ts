import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { decode } from 'fast-png';
import { writeVolume } from 'pulmoav';
import { pulmoav } from './command.js';
import { chest, folder, listing, smallestModel } from './fixture.js';

let model: string;
let scan: string;
test.before(async () => {
  model = await smallestModel();
  scan = join(folder(), 'scan.nii.gz');
  await writeVolume(scan, chest().ct);
});

test('a picture and a table are written beside the labels, never over them', async (t) => {
  const at = folder();
  const output = join(at, 'labels.nii.gz');
  const [png, csv] = [join(at, 'labels.png'), join(at, 'labels.csv')];
  const run = (...flags: string[]) => pulmoav('segment', scan, '-o', output, '--model', model, ...flags);
  t.is((await run('--preview', png, '--stats', csv)).status, 0);
  t.true(decode(readFileSync(png)).width > 0);
  t.regex(readFileSync(csv, 'utf8'), /^name,value,voxels,volumeMl\nartery,1,\d+,[\d.]+\n/);
  t.deepEqual(listing(at), ['labels.csv', 'labels.nii.gz', 'labels.png', 'labels.run.json']);
  for (const wrong of [
    ['--preview', output],
    ['--stats', join(at, 'labels.txt')],
    ['--stats', scan],
  ]) {
    t.is((await run(...wrong)).status, 2, wrong.join(' '));
  }
});

test('progress is told as JSON, line by line, or not at all', async (t) => {
  const output = join(folder(), 'labels.nii.gz');
  const run = (mode: string) => pulmoav('segment', scan, '-o', output, '--model', model, '--progress', mode);
  const { status, stderr } = await run('json');
  t.is(status, 0);
  const events = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.deepEqual(new Set(events.map(({ type }) => type)), new Set(['progress', 'message']));
  // Which stages are seen depends on the pace; the last state is always told.
  const told = events.filter(({ type }) => type === 'progress');
  t.true(told.every(({ stage, done, total }) => typeof stage === 'string' && done >= 0 && done <= total));
  t.is(told.at(-1)?.done, told.at(-1)?.total);
  t.notRegex((await run('none')).stderr, /prepare|network|restore/);
  const wrong = await run('loud');
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /--progress takes one of auto, json, none/);
});
