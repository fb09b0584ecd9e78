// Training by several processes, each on a driver double of its own, joined by the double's NCCL. Skipped, aloud, where
// the addon with CUDA code or the double is not here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { TrainEvent } from 'pulmoav';
import { dataset, folder, root, smallest } from './fixture.js';

const double = join(root, 'target/cuda/double');
const built = readdirSync(join(root, 'dist/native')).some((name) => name.startsWith('pulmoav-cuda.'));
const isHere = built && existsSync(join(double, 'libnccl.so.2'));
const ranks = isHere ? test.serial : test.serial.skip;
if (!isHere) test('skipped: no addon with CUDA code and driver double (npm run build:cuda)', (t) => t.pass());

/** Starts `pulmoav train` where the double shows two devices. */
function start(args: string[], variables: NodeJS.ProcessEnv = {}) {
  const kernels = join(root, 'target/cuda/host/plain/libkernels.so');
  const env = {
    ...process.env,
    PULMOAV_ADDON: '',
    LD_LIBRARY_PATH: double,
    EMU_DEVICES: '2',
    ...(existsSync(kernels) ? { EMU_KERNELS: kernels } : {}),
    ...variables,
  };
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'train', ...args], { env });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, stderr }));
  return { child, ended };
}

function config(settings: object): string {
  const file = join(folder(), 'config.json');
  writeFileSync(file, JSON.stringify({ ...smallest, ...settings }));
  return file;
}

const lossesOf = (run: string) => {
  const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n');
  const events = lines.map((line) => JSON.parse(line) as TrainEvent);
  return events.flatMap((event) => (event.type === 'step' ? [event.loss ?? Number.NaN] : []));
};

const accumulated = { ...smallest.step, accumulate: 2 };

ranks('two devices take the steps that one takes with the same batches', async (t) => {
  const [data, settings] = [await dataset(), config({ step: accumulated, steps: 4 })];
  const [alone, together] = [join(folder(), 'run'), join(folder(), 'run')];
  const one = await start([data, '-o', alone, '--config', settings, '--device', 'cuda:0']).ended;
  t.is(one.status, 0, one.stderr);
  const two = await start([data, '-o', together, '--config', settings, '--devices', 'cuda:0,cuda:1']).ended;
  t.is(two.status, 0, two.stderr);
  const [expected, found] = [lossesOf(alone), lossesOf(together)];
  t.is(found.length, 4);
  for (const [at, loss] of found.entries())
    t.true(Math.abs(loss - (expected[at] as number)) < 1e-4, `${found} ${expected}`);
  t.true(existsSync(join(together, 'best', 'model.safetensors')));
  // Nothing is there before something waits for it, and the same comes out.
  for (const lazy of ['1', 'first']) {
    const lazily = join(folder(), 'run');
    const args = [data, '-o', lazily, '--config', settings, '--devices', 'cuda:0,cuda:1'];
    const ended = await start(args, { EMU_LAZY: lazy }).ended;
    t.is(ended.status, 0, ended.stderr);
    t.deepEqual(lossesOf(lazily), found, lazy);
  }
});

ranks('a rank that dies ends the run, whose checkpoint stays and goes on', async (t) => {
  const [data, settings] = [await dataset(), config({ step: accumulated, steps: 400, checkpointSeconds: 0.001 })];
  const out = join(folder(), 'run');
  const { child, ended } = start([data, '-o', out, '--config', settings, '--devices', 'cuda:0,cuda:1']);
  while (!existsSync(join(out, 'latest', 'model.safetensors')) && child.exitCode === null)
    await new Promise((wake) => setTimeout(wake, 20));
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').map(Number);
  t.is(children.length, 2);
  process.kill(children[1] as number, 'SIGKILL');
  const { status } = await ended;
  t.not(status, 0);
  t.true(existsSync(join(out, 'latest', 'model.safetensors')));
});

ranks('batches that cannot be dealt out evenly are refused', async (t) => {
  const settings = config({ steps: 2 });
  const args = [await dataset(), '-o', join(folder(), 'run'), '--config', settings, '--devices', 'cuda:0,cuda:1'];
  const { status, stderr } = await start(args).ended;
  t.is(status, 3);
  t.regex(stderr, /step\.accumulate is 1, but 2 devices share/);
  t.is((await start([...args.slice(0, -1), 'cuda:0,cuda:0']).ended).status, 2);
  t.is((await start([...args.slice(0, -1), 'env']).ended).status, 2);
});
