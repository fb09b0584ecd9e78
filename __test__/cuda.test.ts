// The addon with CUDA code on the driver double: no card is needed. Without either, made by "npm run build:cuda", all is
// skipped, aloud.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  type Health,
  readVolume,
  type SegmentForecast,
  type SegmentReport,
  type TrainEvent,
  writeVolume,
} from 'pulmoav';
import { type Ended, object } from './command.js';
import { chest, dataset, folder, root, smallest, smallestModel } from './fixture.js';

const double = join(root, 'target/cuda/double');
const built = readdirSync(join(root, 'dist/native')).some((name) => name.startsWith('pulmoav-cuda.'));
const isHere = built && existsSync(join(double, 'libcuda.so.1'));
const cuda = isHere ? test.serial : test.serial.skip;
if (!isHere) test('skipped: no addon with CUDA code and driver double (npm run build:cuda)', (t) => t.pass());

/** Runs `pulmoav` with the addon with CUDA code, and the double as its driver unless the variables say otherwise. */
async function pulmoav(args: string[], variables: NodeJS.ProcessEnv = {}): Promise<Ended> {
  // As code of the host they run several times faster than interpreted.
  const kernels = join(root, 'target/cuda/host/plain/libkernels.so');
  const env = {
    ...process.env,
    PULMOAV_ADDON: '',
    LD_LIBRARY_PATH: double,
    ...(existsSync(kernels) ? { EMU_KERNELS: kernels } : {}),
    ...variables,
  };
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], { env });
  const ended = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      ended[stream] += text;
    });
  }
  const [status] = await once(child, 'close');
  return { status: status as number | null, ...ended };
}

/** What `doctor` says with such a driver. */
async function doctor(variables: NodeJS.ProcessEnv = {}): Promise<Health> {
  const ended = await pulmoav(['doctor', '--json'], variables);
  if (ended.status !== 0) throw new Error(ended.stderr);
  return object(ended) as unknown as Health;
}

cuda('doctor shows driver, libraries and cards', async (t) => {
  const { addon, cuda, devices } = await doctor();
  t.true(addon.cuda);
  t.is(cuda?.driver, '13.0');
  t.is(cuda?.reason, null);
  for (const { optional, found } of cuda?.libraries ?? []) t.true(optional || found !== null);
  const [card] = cuda?.cards ?? [];
  t.true((card?.freeBytes ?? 0) > 0 && (card?.freeBytes ?? 0) <= (card?.totalBytes ?? 0), JSON.stringify(card));
  t.deepEqual(devices[1], { name: 'cuda:0', usable: true, reason: null });
  t.regex((await pulmoav(['doctor'])).stdout, /cuda:0: usable/);
});

const nowhere = folder();
const drivers: [name: string, variables: NodeJS.ProcessEnv, reason: RegExp][] = [
  ['missing', { LD_LIBRARY_PATH: nowhere }, /there is no CUDA driver/],
  ['without cards', { EMU_DRIVER: 'none' }, /card/],
  ['old', { EMU_DRIVER: 'old' }, /13\.0 is needed/],
  ['broken', { EMU_DRIVER: 'broken' }, /driver/],
  ['lying', { EMU_DRIVER: 'lying' }, /driver says/],
  ['crashing', { EMU_DRIVER: 'crashing' }, /driver broke/],
  ['with hidden cards', { CUDA_VISIBLE_DEVICES: '' }, /CUDA_VISIBLE_DEVICES/],
];
for (const [name, variables, reason] of drivers) {
  cuda(`a driver that is ${name}: auto takes the CPU aloud, cuda is refused, doctor says why`, async (t) => {
    const { devices } = await doctor(variables);
    t.like(devices[1], { usable: false });
    t.regex(devices[1]?.reason ?? '', reason);
    const auto = await pulmoav(['text', 'artery', '--json'], variables);
    t.is(auto.status, 0, auto.stderr);
    t.regex(auto.stderr, /the CPU is used, since/);
    const refused = await pulmoav(['text', 'artery', '--device', 'cuda', '--json'], variables);
    t.is(refused.status, 3);
    t.is(object(refused).error?.code, 'ERR_DEVICE');
  });
}

cuda('a card that is not there is refused', async (t) => {
  const ended = await pulmoav(['text', 'artery', '--device', 'cuda:200', '--json']);
  t.is(ended.status, 3);
  t.regex(object(ended).error?.message ?? '', /shows 1 card\(s\), numbered from 0/);
});

cuda('segment labels on the card what it labels on the CPU, lazily and with little memory too', async (t) => {
  const scan = join(folder(), 'chest.nii.gz');
  await writeVolume(scan, chest().ct);
  const model = await smallestModel(3);
  const label = async (device: string, variables: NodeJS.ProcessEnv = {}, ...more: string[]) => {
    const output = join(folder(), 'labels.nii.gz');
    const ended = await pulmoav(
      ['segment', scan, '-o', output, '--model', model, '--device', device, '--json', ...more],
      variables,
    );
    t.is(ended.status, 0, ended.stderr);
    const report = object(ended) as unknown as { device: string; deviceReason: string; warnings: { code: string }[] };
    return { report, labels: (await readVolume(output)).data };
  };
  const cpu = await label('cpu');
  t.like(cpu.report, { device: 'cpu', deviceReason: 'it was asked for' });
  const share = (labels: ArrayLike<number | bigint>) => {
    let differing = 0;
    for (let at = 0; at < labels.length; at++) if (cpu.labels[at] !== labels[at]) differing++;
    return differing / labels.length;
  };
  const card = await label('cuda');
  t.is(card.report.device, 'cuda:0');
  t.true(share(card.labels) <= 1e-4, `${share(card.labels)} of the voxels differ`);
  const narrow = await label('auto', { EMU_LAZY: '1', EMU_MEMORY: String(64 << 20) }, '--precision', 'bf16');
  t.is(narrow.report.device, 'cuda:0');
  t.true(share(narrow.labels) <= 1e-2, `${share(narrow.labels)} of the voxels differ in bf16`);
  const rounded = await label('cuda', {}, '--precision', 'tf32');
  t.true(share(rounded.labels) <= 1e-3, `${share(rounded.labels)} of the voxels differ in tf32`);
});

/** Segments the chest with a small network, and gives the report, the labels and the copies from the card. */
async function labelled(variables: NodeJS.ProcessEnv, ...more: string[]) {
  const [scan, output, counts] = [join(folder(), 'chest.nii.gz'), join(folder(), 'labels.nii.gz'), join(folder(), 'n')];
  await writeVolume(scan, chest().ct);
  const model = await smallestModel(3);
  const args = ['segment', scan, '-o', output, '--model', model, '--json', ...more];
  const ended = await pulmoav(args, { EMU_COUNTS: counts, ...variables });
  const places = [16, 24, 48, 56, 64];
  const [copies = 0, bytesBack = 0, launches = 0, peakBytes = 0, graphs = 0] = places.map((at) =>
    Number(readFileSync(counts).readBigUInt64LE(at)),
  );
  const labels = existsSync(output) ? (await readVolume(output)).data : null;
  const report = object(ended) as unknown as SegmentReport & { error?: { code: string } };
  return { ...ended, report, labels, copies, bytesBack, launches, peakBytes, graphs };
}

cuda('no answer of a tile comes back from the card, however many there are', async (t) => {
  const few = await labelled({}, '--device', 'cuda', '--step', '1');
  const many = await labelled({}, '--device', 'cuda', '--step', '0.4');
  t.is(few.status, 0, few.stderr);
  t.is(many.status, 0, many.stderr);
  t.is(many.copies, few.copies);
  // Of the whole scan one byte a voxel, and what the card was tried with.
  t.true(few.report.memory.card?.wholeScan);
  t.true(few.bytesBack <= (few.labels?.length ?? 0) + 1024, `${few.bytesBack} bytes came back`);
});

cuda('tiles at a time follow the memory that the card has, and change no label', async (t) => {
  const ample = await labelled({}, '--device', 'cuda');
  t.is(ample.status, 0, ample.stderr);
  const { card } = ample.report.memory;
  t.true((card?.tilesAtOnce ?? 0) > 1, JSON.stringify(card));
  const one = await labelled({}, '--device', 'cuda', '--tiles-at-once', '1');
  t.is(one.report.memory.card?.tilesAtOnce, 1);
  t.deepEqual(one.labels, ample.labels);
  // What is foreseen is at least what is taken, and of its size.
  for (const { report, peakBytes } of [ample, one]) {
    const foreseen = report.memory.card?.predictedBytes ?? 0;
    t.log(`foreseen ${foreseen}, taken ${peakBytes}, ${report.memory.card?.tilesAtOnce} at a time`);
    t.true(foreseen > 0.9 * peakBytes && foreseen < 3 * peakBytes, `foreseen ${foreseen}, taken ${peakBytes}`);
  }
  const between = Math.round(((card?.predictedBytes ?? 0) + (one.report.memory.card?.predictedBytes ?? 0)) / 2);
  const narrow = await labelled({ EMU_MEMORY: String(between) }, '--device', 'cuda');
  t.is(narrow.status, 0, narrow.stderr);
  t.true(
    (narrow.report.memory.card?.tilesAtOnce ?? 0) < (card?.tilesAtOnce ?? 0),
    JSON.stringify(narrow.report.memory),
  );
  t.deepEqual(narrow.labels, ample.labels);
});

cuda('the launches of a group of tiles are one, with the same labels', async (t) => {
  const groups = ['--device', 'cuda', '--tiles-at-once', '2'];
  const plain = await labelled({ PULMOAV_CUDA_GRAPHS: '0' }, ...groups);
  t.is(plain.status, 0, plain.stderr);
  t.is(plain.graphs, 0);
  for (const variables of [{}, { EMU_LAZY: '1' }]) {
    const whole = await labelled(variables, ...groups);
    t.is(whole.status, 0, whole.stderr);
    t.deepEqual(whole.labels, plain.labels);
    t.deepEqual(whole.report.warnings, plain.report.warnings);
    t.log(`${plain.launches} launches, with ${whole.graphs} graphs ${whole.launches}`);
    t.true(whole.graphs > 1 && whole.launches < plain.launches / 2, `${whole.graphs} ${whole.launches}`);
  }
});

cuda('a dry run says what a card will be asked for', async (t) => {
  const scan = join(folder(), 'chest.nii.gz');
  await writeVolume(scan, chest().ct);
  const model = await smallestModel(3);
  const args = ['segment', scan, '-o', join(folder(), 'labels.nii.gz'), '--model', model, '--device', 'cuda'];
  const ended = await pulmoav([...args, '--dry-run', '--json']);
  t.is(ended.status, 0, ended.stderr);
  const { card } = object(ended) as unknown as SegmentForecast;
  t.true((card?.predictedBytes ?? 0) > 0 && (card?.tilesAtOnce ?? 0) > 0, JSON.stringify(card));
  t.regex((await pulmoav([...args, '--dry-run'])).stdout, /on the card .* windows at a time/);
});

cuda('two cards label what one does, and a batch deals its scans out to them', async (t) => {
  const one = await labelled({}, '--device', 'cuda');
  const two = await labelled({ EMU_DEVICES: '2' }, '--devices', 'cuda:0,cuda:1');
  t.is(two.status, 0, two.stderr);
  t.is(two.report.device, 'cuda:0,cuda:1');
  t.deepEqual(two.labels, one.labels);
  const [scans, out, model] = [folder(), join(folder(), 'out'), await smallestModel(3)];
  for (const name of ['a', 'b']) await writeVolume(join(scans, `${name}.nii.gz`), chest().ct);
  const args = ['batch', scans, '-o', out, '--model', model, '--devices', 'cuda:0,cuda:1', '--json'];
  const ended = await pulmoav(args, { EMU_DEVICES: '2' });
  t.is(ended.status, 0, ended.stderr);
  const devices = ['a', 'b'].map((name) => {
    const file = readdirSync(out).find((entry) => entry.startsWith(name) && entry.endsWith('.run.json')) ?? '';
    return (JSON.parse(readFileSync(join(out, file), 'utf8')) as SegmentReport).device;
  });
  t.deepEqual(devices.sort(), ['cuda:0', 'cuda:1']);
  t.deepEqual((await readVolume(join(out, 'a.nii.gz'))).data, one.labels);
});

/** nnU-Net's fixture with so many folds, all of them the one that there is, and a part of the chest at its spacing. */
async function nnunet(folds: number) {
  const [model, scan] = [folder(), join(folder(), 'part.nii.gz')];
  const fixture = join(root, 'crates/testing/goldens/nnunet/plain');
  for (const name of ['dataset.json', 'plans.json']) cpSync(join(fixture, name), join(model, name));
  for (let fold = 0; fold < folds; fold++)
    cpSync(join(fixture, 'fold_0'), join(model, `fold_${fold}`), { recursive: true });
  const { ct } = chest();
  const shape: [number, number, number] = [12, 44, 40];
  const data = new Int16Array(shape[0] * shape[1] * shape[2]);
  for (let at = 0; at < data.length; at++) {
    const [z, y, x] = [Math.floor(at / (44 * 40)) + 16, (Math.floor(at / 40) % 44) + 8, (at % 40) + 8];
    data[at] = ct.data[(z * 64 + y) * 88 + x] ?? 0;
  }
  const affine = [0.8, 0, 0, 0, 0, 0.8, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1];
  await writeVolume(scan, { data, shape, spacingMm: [3, 0.8, 0.8], affine });
  return { model, scan };
}

cuda("nnU-Net's windows and folds are summed on cards as on the CPU", async (t) => {
  const { model, scan } = await nnunet(2);
  const label = async (variables: NodeJS.ProcessEnv, ...more: string[]) => {
    const [output, counts] = [join(folder(), 'labels.nii.gz'), join(folder(), 'counts')];
    const args = ['segment', scan, '-o', output, '--model', model, '--json', ...more];
    const ended = await pulmoav(args, { EMU_COUNTS: counts, ...variables });
    t.is(ended.status, 0, ended.stderr);
    const report = object(ended) as unknown as SegmentReport;
    const copies = existsSync(counts) ? Number(readFileSync(counts).readBigUInt64LE(16)) : 0;
    return { report, copies, labels: (await readVolume(output)).data };
  };
  const differing = (a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>) =>
    Array.from(a).filter((value, at) => value !== b[at]).length / a.length;
  const cpu = await label({}, '--device', 'cpu', '--no-mirror');
  t.is(cpu.report.folds, 2);
  t.true(new Set(Array.from<number | bigint>(cpu.labels)).size > 1);
  const card = await label({}, '--device', 'cuda', '--no-mirror');
  t.true(differing(card.labels, cpu.labels) <= 1e-4, `${differing(card.labels, cpu.labels)} differ`);
  t.true((card.report.memory.card?.tilesAtOnce ?? 0) > 1);
  t.is(card.report.memory.card?.wholeScan, false);
  // A sum for each fold, and what the card was tried with.
  const wide = await label({}, '--device', 'cuda', '--no-mirror', '--step', '1');
  t.is(wide.copies, card.copies);
  const two = await label({ EMU_DEVICES: '2' }, '--devices', 'cuda:0,cuda:1', '--no-mirror');
  t.deepEqual(two.labels, card.labels);
  const [turnedHere, turned] = [
    await label({}, '--device', 'cpu', '--step', '1'),
    await label({}, '--device', 'cuda', '--step', '1'),
  ];
  t.true(differing(turned.labels, turnedHere.labels) <= 1e-4);
});

cuda('lists of devices that are none are refused', async (t) => {
  for (const list of ['cuda:0,cuda:0', 'cpu', 'cuda:0,gpu']) {
    const refused = await labelled({}, '--devices', list).catch(() => null);
    t.true(refused === null || refused.status === 2, list);
  }
});

cuda('a card without room is an error with a cure', async (t) => {
  const scan = join(folder(), 'chest.nii.gz');
  await writeVolume(scan, chest().ct);
  const args = ['segment', scan, '-o', join(folder(), 'labels.nii.gz'), '--device', 'cuda', '--json'];
  const ended = await pulmoav(args, { EMU_MEMORY: String(1 << 20) });
  t.not(ended.status, 0);
  t.regex(object(ended).error?.code ?? '', /ERR_MEMORY|ERR_DEVICE/);
});

cuda('a training step reads two small things from the card', async (t) => {
  const data = await dataset();
  const toHost = async (steps: number) => {
    const [config, counts] = [join(folder(), 'config.json'), join(folder(), 'counts')];
    writeFileSync(config, JSON.stringify({ ...smallest, steps }));
    const args = ['train', data, '-o', join(folder(), 'run'), '--device', 'cuda', '--config', config, '--json'];
    const ended = await pulmoav(args, { EMU_COUNTS: counts });
    t.is(ended.status, 0, ended.stderr);
    // Copies to the device and their bytes, copies to the host, …
    return Number(readFileSync(counts).readBigUInt64LE(16));
  };
  // The sums of the loss, and of the gradient's norm.
  t.is((await toHost(3)) - (await toHost(1)), 2 * 2);
});

/** A config with everything that a step may ask of a batch, and a data set half of which nobody annotated. */
async function taught(steps: number) {
  const data = await dataset();
  const file = join(data, 'dataset.json');
  const description = JSON.parse(readFileSync(file, 'utf8'));
  description.cases.one.annotated.sides = ['left'];
  writeFileSync(file, JSON.stringify(description));
  const stages = { stageChannels: [8, 8, 16], stageBlocks: [1, 1, 1] };
  const network = { ...smallest.plan?.network, ...stages, supervisedScales: 2 };
  const loss = { scaleWeights: [1, 0.5], skeletonRecall: 0.5, softClDice: 0.5 };
  const step = { batch: 2, unannotated: 'teacher', sampling: { unannotated: 1 }, loss };
  const adapt = { teacher: { weight: 1, rampShare: 0 } };
  const config = join(folder(), 'config.json');
  writeFileSync(config, JSON.stringify({ ...smallest, steps, plan: { ...smallest.plan, network }, step, adapt }));
  return { data, config };
}

cuda('a step with a teacher and losses of centrelines reads sums alone', async (t) => {
  const toHost = async (steps: number) => {
    const [{ data, config }, counts] = [await taught(steps), join(folder(), 'counts')];
    const args = ['train', data, '-o', join(folder(), 'run'), '--device', 'cuda', '--config', config, '--json'];
    const ended = await pulmoav(args, { EMU_COUNTS: counts });
    t.is(ended.status, 0, ended.stderr);
    return [16, 24].map((at) => Number(readFileSync(counts).readBigUInt64LE(at)));
  };
  const [few, many] = [await toHost(3), await toHost(5)];
  // Two scales' sums and those of the skeletons; the teacher's counts, and two scales' sums by its labels; the norm.
  t.is((many[0] ?? 0) - (few[0] ?? 0), 2 * (2 + 1 + 1 + 2 + 1));
  const [voxels, maps] = [2 * 16 ** 3, 3];
  const bytes = ((many[1] ?? 0) - (few[1] ?? 0)) / 2;
  t.log(`${bytes} bytes a step`);
  t.true(bytes < voxels * maps, `${bytes} bytes a step are no few sums`);
});

/** What a run of `taught` says of its steps. */
async function lossesOf(steps: number, ...more: string[]) {
  const [{ data, config }, out] = [await taught(steps), join(folder(), 'run')];
  const ended = await pulmoav(['train', data, '-o', out, '--config', config, '--json', ...more]);
  if (ended.status !== 0) throw new Error(ended.stderr);
  const lines = readFileSync(join(out, 'events.jsonl'), 'utf8').trim().split('\n');
  const events = lines.map((line) => JSON.parse(line) as TrainEvent);
  return events.flatMap((event) => (event.type === 'step' ? [event.loss ?? Number.NaN] : []));
}

cuda('a teacher and losses of centrelines go the same way on the card', async (t) => {
  const expected = await lossesOf(4, '--device', 'cpu');
  const found = await lossesOf(4, '--device', 'cuda');
  t.is(found.length, 4);
  for (const [step, loss] of found.entries()) {
    const wanted = expected[step] ?? 0;
    t.true(Math.abs(loss - wanted) < 1e-3 * Math.max(1, Math.abs(wanted)), `${step}: ${found} ${expected}`);
  }
});

cuda('train goes the same way on the card, and on from there on the CPU', async (t) => {
  const [data, config] = [await dataset(), join(folder(), 'config.json')];
  writeFileSync(config, JSON.stringify({ ...smallest, steps: 4, checkpointSeconds: 0.001 }));
  const run = async (out: string, device: string, ...more: string[]) => {
    const ended = await pulmoav(['train', data, '-o', out, '--device', device, '--json', ...more]);
    t.is(ended.status, 0, ended.stderr);
    const lines = readFileSync(join(out, 'events.jsonl'), 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line) as TrainEvent);
  };
  const losses = (events: TrainEvent[]) => events.flatMap((event) => (event.type === 'step' ? [event.loss ?? 0] : []));
  const [cpu, card] = [join(folder(), 'cpu'), join(folder(), 'card')];
  const expected = await run(cpu, 'cpu', '--config', config);
  const found = await run(card, 'cuda', '--config', config);
  t.like(found[0], { type: 'start', device: 'cuda:0', deviceReason: 'it was asked for' });
  t.is(losses(found).length, 4);
  for (const [step, loss] of losses(found).entries()) {
    const wanted = losses(expected)[step] ?? 0;
    t.true(Math.abs(loss - wanted) < 1e-3 * Math.max(1, Math.abs(wanted)), `${step}: ${loss} ${wanted}`);
  }
  // In bf16 the loss falls by as much, but for its rounding.
  const narrow = losses(await run(join(folder(), 'narrow'), 'cuda', '--config', config, '--precision', 'bf16'));
  for (const [step, loss] of narrow.entries()) {
    const wanted = losses(found)[step] ?? 0;
    t.true(Math.abs(loss - wanted) < 2e-2 * Math.max(1, Math.abs(wanted)), `${step}: ${loss} ${wanted} in bf16`);
  }
  t.is(narrow.length, 4);
  const resumed = await run(card, 'cpu', '--resume');
  t.is(resumed.findLast((event) => event.type === 'end')?.step, 4);
});
