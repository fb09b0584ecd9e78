import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { writeVolume } from 'pulmoav';
import { readTrainConfig } from '../dist/train/run.js';
import { chest, folder, root } from './fixture.js';

const examples = join(root, 'examples');
let scan: string;
let labels: string;
test.before(async () => {
  const directory = folder();
  [scan, labels] = [join(directory, 'scan.nii.gz'), join(directory, 'labels.nii.gz')];
  const made = chest();
  await writeVolume(scan, made.ct);
  await writeVolume(labels, made.labels);
});

async function run(name: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(examples, name), ...args]);
  return stdout;
}

test('every example is listed here', (t) => {
  t.deepEqual(readdirSync(examples).sort(), [
    'README.md',
    'anatomy.mjs',
    'score.mjs',
    'segment.mjs',
    'short-training.json',
  ]);
});

test('segment.mjs', async (t) => {
  const output = join(folder(), 'found.nii.gz');
  t.regex(await run('segment.mjs', scan, output), /left artery: [\d.]+ ml/);
  t.true(existsSync(output));
});

test('anatomy.mjs', async (t) => {
  t.regex(await run('anatomy.mjs', scan), /left lung: \d+ ml\nright lung: \d+ ml/);
});

test('score.mjs', async (t) => {
  t.regex(await run('score.mjs', labels, labels), /artery: Dice 1\.000/);
});

test('short-training.json', async (t) => {
  const config = await readTrainConfig(join(examples, 'short-training.json'));
  t.like(config, { steps: 'fit:30m', textModel: 'tiny', validateEvery: 200 });
});
