import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type BatchReport, batch, UsageError, writeVolume } from 'pulmoav';
import { chest, folder, listing, root } from './fixture.js';

const main = join(root, 'dist/cli/main.js');

/** A folder with so many copies of one small chest. */
async function scans(count: number): Promise<string> {
  const made = join(folder(), 'scans');
  mkdirSync(made);
  const first = join(made, 'a.nii.gz');
  await writeVolume(first, chest().ct);
  for (let index = 1; index < count; index++) copyFileSync(first, join(made, `${'abcdefgh'[index]}.nii.gz`));
  return made;
}

const statuses = ({ cases }: BatchReport) => cases.map(({ name, status }) => `${name} ${status}`);

test('a batch labels what it can, says what it made, and goes on with what is missing', async (t) => {
  const input = await scans(2);
  writeFileSync(join(input, 'broken.nii.gz'), 'no scan');
  mkdirSync(join(input, 'below'));
  copyFileSync(join(input, 'a.nii.gz'), join(input, 'below', 'case_0000.nii.gz'));
  const out = join(input, 'out');
  const request = { inputs: [input], out, threads: 2, processes: 2 };
  const told: number[] = [];
  const first = await batch(request, { onCase: (_, { ended }) => told.push(ended) });
  t.deepEqual(statuses(first), ['a done', 'b done', 'below/case done', 'broken failed']);
  t.deepEqual(told, [1, 2, 3, 4]);
  t.is(first.cases[3]?.error?.code, 'ERR_FORMAT');
  const results = ['a.nii.gz', 'a.run.json', 'b.nii.gz', 'b.run.json', 'batch.json'];
  t.deepEqual(listing(out), [...results, 'below', 'below/case.nii.gz', 'below/case.run.json']);
  const record = JSON.parse(readFileSync(join(out, 'a.run.json'), 'utf8'));
  t.is(record.inputs[0].bytes, statSync(join(input, 'a.nii.gz')).size);
  t.regex(record.source.model, /^[0-9a-f]{64}$/);
  t.is(record.targets.length, 2);

  const error = await t.throwsAsync(batch(request), { instanceOf: UsageError });
  t.regex(error.message, /is there already/);
  writeFileSync(join(out, 'b.nii.gz'), 'cut off');
  copyFileSync(join(input, 'a.nii.gz'), join(input, 'broken.nii.gz'));
  const again = await batch({ ...request, resume: true });
  t.deepEqual(statuses(again), ['a made', 'b done', 'below/case made', 'broken done']);
  writeFileSync(join(out, 'c'), 'a file where a folder has to be');
  mkdirSync(join(input, 'c'));
  copyFileSync(join(input, 'a.nii.gz'), join(input, 'c', 'd.nii.gz'));
  const blocked = await batch({ ...request, resume: true });
  t.is(blocked.cases.find(({ name }) => name === 'c/d')?.error?.code, 'ERR_IO');
  t.is(blocked.made, 4);
  const other = await batch({ ...request, resume: true, dryRun: true, prompts: ['vein'] });
  t.deepEqual(new Set(other.cases.map(({ status }) => status)), new Set(['planned']), 'other words, other labels');
});

test('a list of jobs has its own outputs and words, and machines share it', async (t) => {
  const input = await scans(3);
  const list = join(input, 'jobs.json');
  const jobs = ['a', 'b', 'c'].map((name) => ({ input: `${name}.nii.gz`, output: `${name}/${name}.nii.gz` }));
  writeFileSync(list, JSON.stringify([{ ...jobs[0], prompts: ['vein'] }, ...jobs.slice(1)]));
  const out = join(input, 'labels');
  const request = { inputs: [list], out, threads: 2, processes: 1 };
  const first = await batch({ ...request, shard: [1, 2] });
  const second = await batch({ ...request, shard: [2, 2] });
  t.deepEqual([statuses(first), statuses(second)], [['a done', 'c done'], ['b done']]);
  t.deepEqual(
    first.cases[0]?.targets.map(({ name }) => name),
    ['vein'],
  );
  t.true(existsSync(join(out, 'c', 'c.nii.gz')) && existsSync(join(out, 'batch.2of2.json')));

  writeFileSync(list, JSON.stringify([{ input: 'a.nii.gz', promts: ['vein'] }]));
  await t.throwsAsync(batch(request), { code: 'ERR_FORMAT', message: /no list of jobs.*promts/ });
  writeFileSync(list, JSON.stringify([jobs[0], { ...jobs[1], output: jobs[0]?.output }]));
  await t.throwsAsync(batch(request), { code: 'ERR_USAGE', message: /would both be/ });
  await t.throwsAsync(batch({ ...request, inputs: [join(input, 'none')] }), { code: 'ERR_IO' });
  await t.throwsAsync(batch({ ...request, inputs: [folder()] }), { code: 'ERR_USAGE', message: /There is no scan/ });
  await t.throwsAsync(batch({ ...request, inputs: [input], model: 'no-such-model' }), { code: 'ERR_MODEL' });
  writeFileSync(list, JSON.stringify([{ ...jobs[0], output: join(input, 'b.nii.gz') }, jobs[1]]));
  await t.throwsAsync(batch(request), { code: 'ERR_USAGE', message: /would replace a scan/ });
});

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGKILL', null],
] as const) {
  test(`a batch that ${signal} ends keeps what is finished, and goes on`, async (t) => {
    const input = await scans(3);
    const out = join(folder(), 'out');
    const args = ['batch', input, '-o', out, '--processes', '1', '--threads', '1'];
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('[1/3]')) child.kill(signal);
    });
    const ended = await new Promise((resolve) => child.on('exit', resolve));
    t.is(ended, status);
    const finished = statSync(join(out, 'a.nii.gz')).mtimeMs;
    const report = await batch({ inputs: [input], out, resume: true, processes: 1, threads: 1 });
    t.is(report.cases[0]?.status, 'made');
    t.is(report.done + report.made, 3);
    t.is(statSync(join(out, 'a.nii.gz')).mtimeMs, finished);
    const expected = ['a', 'b', 'c'].flatMap((name) => [`${name}.nii.gz`, `${name}.run.json`]);
    t.deepEqual(
      listing(out).filter((name) => !name.startsWith('.')),
      [...expected, 'batch.json'].sort(),
    );
  });
}
