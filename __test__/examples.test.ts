import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import test from 'ava';
import { readVolume, writeVolume } from 'pulmoav';
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

/** What the server says. */
interface Told {
  id: string;
  message: string;
  state: string;
  error: { code: string };
  targets: { volumeMl: number }[];
}

/** An example that goes on until it is stopped, and what it says until something is said. */
function started(name: string, ...args: string[]) {
  const child = spawn(process.execPath, [join(examples, name), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const until = async (words: RegExp) => {
    while (!words.test(said)) {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${said}`);
      await setTimeout(50);
    }
    return words.exec(said)?.[0] ?? '';
  };
  return { child, until };
}

test('every example is listed here', (t) => {
  t.deepEqual(readdirSync(examples).sort(), [
    'README.md',
    'anatomy.mjs',
    'batch.mjs',
    'commonjs.cjs',
    'score.mjs',
    'segment.mjs',
    'server.mjs',
    'short-training.json',
    'watch-folder.mjs',
    'worker-pool.mjs',
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

test('batch.mjs', async (t) => {
  const [scans, out] = [folder(), folder()];
  copyFileSync(scan, join(scans, 'a.nii.gz'));
  t.regex(await run('batch.mjs', scans, out), /1\/1 a: done\n1 done, 0 made before, 0 failed/);
  t.regex(await run('batch.mjs', scans, out), /0 done, 1 made before, 0 failed/);
});

test('commonjs.cjs', async (t) => {
  t.regex(await run('commonjs.cjs', scan), /^48 × 64 × 88 voxels .*\nartery: [\d.]+ ml\nvein: [\d.]+ ml\n$/);
});

test('worker-pool.mjs', async (t) => {
  const second = join(folder(), 'second.nii.gz');
  copyFileSync(scan, second);
  const lines = (await run('worker-pool.mjs', scan, second)).trim().split('\n');
  // Both threads answer alike.
  t.is(new Set(lines.map((line) => line.replace(/^.*: artery/, 'artery'))).size, 1);
  t.is(lines.length, 2);
});

test('server.mjs labels, tells how far it is, and stops', async (t) => {
  const { child, until } = started('server.mjs', '0');
  const address = (await until(/http:\S+/)).trim();
  const told = async (path: string, init?: RequestInit) =>
    (await (await fetch(`${address}${path}`, init)).json()) as Told;
  const post = async (body: Uint8Array) => (await told('/jobs', { method: 'POST', body: Buffer.from(body) })).id;
  const bytes = readFileSync(scan);
  const [first, second, third] = [await post(bytes), await post(bytes), await post(Buffer.from('no scan'))];
  t.is((await told('/jobs/9')).message, 'there is no such job');
  await told(`/jobs/${second}`, { method: 'DELETE' });
  let job = await told(`/jobs/${third}`);
  for (; job.state !== 'failed'; job = await told(`/jobs/${third}`)) await setTimeout(100);
  t.is(job.error.code, 'ERR_FORMAT');
  t.is((await told(`/jobs/${second}`)).state, 'cancelled');
  const done = await told(`/jobs/${first}`);
  t.is(done.state, 'done');
  t.true((done.targets[0]?.volumeMl ?? 0) > 0);
  const map = join(folder(), 'labels.nii.gz');
  writeFileSync(map, Buffer.from(await (await fetch(`${address}/jobs/${first}/labels`)).arrayBuffer()));
  t.deepEqual((await readVolume(map)).shape, chest().ct.shape);
  child.kill('SIGTERM');
  t.is((await once(child, 'close'))[0], 0);
});

test('watch-folder.mjs labels what is there and what comes', async (t) => {
  const [scans, out] = [folder(), folder()];
  const { child, until } = started('watch-folder.mjs', scans, out);
  await until(/watching/);
  copyFileSync(scan, join(scans, 'a.nii.gz'));
  t.regex(await until(/a\.nii\.gz: .*\n/), /artery [\d.]+ ml/);
  t.true(existsSync(join(out, 'a.nii.gz')));
  child.kill('SIGTERM');
  t.is((await once(child, 'close'))[0], 0);
});

test('short-training.json', async (t) => {
  const config = await readTrainConfig(join(examples, 'short-training.json'));
  t.like(config, { steps: 'fit:30m', textModel: 'tiny', validateEvery: 200 });
});
