import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { decode } from 'fast-png';
import {
  findModel,
  Segmenter,
  segmentToFile,
  type TrainEvent,
  type TrainSettings,
  train,
  verifyModel,
  writeVolume,
} from 'pulmoav';
import { chest, dataset, folder, root, smallest } from './fixture.js';
import { crc32c, readTensorBoard } from './tfevents.js';

/** How often a run is killed: PULMOAV_KILLS=30 tries more moments. */
const KILLS = Number(process.env.PULMOAV_KILLS ?? 4);
const STEPS = Math.max(8, 2 * KILLS);

/** Every policy on. */
const adaptive: TrainSettings = {
  ...smallest,
  steps: STEPS,
  validateEvery: 3,
  checkpointSeconds: 0.001,
  step: { ...smallest.step, unannotated: 'teacher' },
  adapt: { uncertainty: { enabled: true }, sampling: { enabled: true } },
};

let data: string;
test.before(async () => {
  data = await halfLabelled();
});

/** Two cases to learn from, of which one has one side, and one to validate on. */
async function halfLabelled(): Promise<string> {
  const made = await dataset();
  const { ct, labels } = chest();
  await writeVolume(join(made, 'imagesTr', 'half_0000.nii.gz'), ct);
  await writeVolume(join(made, 'labelsTr', 'half.nii.gz'), labels);
  const file = join(made, 'dataset.json');
  const description = JSON.parse(readFileSync(file, 'utf8'));
  description.cases.half = { annotated: { sides: ['left'], classes: ['artery', 'vein'] } };
  writeFileSync(file, JSON.stringify(description));
  writeFileSync(join(made, 'splits_final.json'), JSON.stringify([{ train: ['half', 'one'], val: ['two'] }]));
  return made;
}

function eventsOf(run: string): TrainEvent[] {
  const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

/** Rows of a run's table by column. */
function table(run: string): Record<string, string>[] {
  const [header = [], ...rows] = readFileSync(join(run, 'metrics.csv'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
  return rows.map((row) => Object.fromEntries(row.map((value, index) => [header[index], value])));
}

test('a run folder holds tables, pictures and checkpoints that say what they are', async (t) => {
  const out = join(folder(), 'run');
  await train({ dataset: data, out, config: adaptive });
  const rows = table(out);
  const steps = eventsOf(out).filter((event) => event.type === 'step');
  t.deepEqual(
    rows.map(({ step, loss, learning_rate }) => [Number(step), Number(loss), Number(learning_rate)]),
    steps.map(({ step, loss, learningRate }) => [step + 1, loss, learningRate]),
  );
  t.deepEqual(
    rows.map((row) => row.validation_dice_artery !== ''),
    [3, 6, 8].reduce((made, step) => made.with(step - 1, true), Array(8).fill(false)),
  );
  const last = steps.at(-1)?.teacher;
  const shown = ['teacher_weight', 'teacher_threshold_vein', 'teacher_accepted_background'].map(
    (name) => rows[7]?.[name],
  );
  t.deepEqual(shown.map(Number), [last?.weight, last?.thresholds[2], last?.accepted[0] ?? 0]);
  checkTensorBoard(t.deepEqual, out);
  t.like(decode(readFileSync(join(out, 'progress.png'))), { width: 1240, height: 1030, channels: 3 });
  const pictures = readdirSync(join(out, 'validation')).sort();
  t.deepEqual(pictures, ['000003-two.png', '000006-two.png', '000008-two.png']);
  const { width, height } = decode(readFileSync(join(out, 'validation', pictures[0] ?? '')));
  t.true(width > 1000 && height > 300);
  for (const kept of ['latest', 'best']) checkManifest(t.deepEqual, join(out, kept));
});

/** TensorBoard's numbers are those of the table, in single precision. */
function checkTensorBoard(equal: (a: unknown, b: unknown) => void, run: string): void {
  const scalars = readTensorBoard(join(run, 'tensorboard'));
  const columns = { 'train/loss': 'loss', lr: 'learning_rate', 'teacher/weight': 'teacher_weight' };
  const scores = { 'validation/dice/artery': 'validation_dice_artery', 'validation/dice/vein': 'validation_dice_vein' };
  for (const [tag, column] of Object.entries({ ...columns, ...scores })) {
    const rows = table(run).filter((row) => row[column] !== '');
    equal(
      [...(scalars.get(tag) ?? [])].sort(([a], [b]) => a - b),
      rows.map((row) => [Number(row.step), Math.fround(Number(row[column]))]),
    );
  }
}

function checkManifest(equal: (a: unknown, b: unknown) => void, checkpoint: string): void {
  const { files, step, versions, configSha256 } = JSON.parse(readFileSync(join(checkpoint, 'manifest.json'), 'utf8'));
  equal([typeof step, Object.keys(versions), configSha256.length], ['number', ['pulmoav', 'node'], 64]);
  const names = readdirSync(checkpoint).filter((name) => name !== 'manifest.json');
  equal(
    files,
    names.sort().map((name) => {
      const content = readFileSync(join(checkpoint, name));
      return { name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
    }),
  );
}

test('the checksums of event files are those of RFC 3720', (t) => {
  t.is(crc32c(Buffer.from('123456789')), 0xe3069283);
  t.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
});

test('a damaged checkpoint is told before it is used', async (t) => {
  const out = join(folder(), 'run');
  await train({ dataset: data, out, config: { ...smallest, steps: 2 } });
  const file = join(out, 'latest', 'adapt.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace('0.3', '0.4'));
  const wrong = { code: 'ERR_MODEL', message: /adapt\.json" is damaged/ };
  await t.throwsAsync(train({ dataset: data, out, resume: true }), wrong);
  await t.throwsAsync(verifyModel(join(out, 'latest')), wrong);
});

test('killed at any moment with every policy on, a run ends as one that never stopped', async (t) => {
  const [whole, killed, file] = [join(folder(), 'run'), join(folder(), 'run'), join(folder(), 'config.json')];
  await train({ dataset: data, out: whole, config: adaptive });
  writeFileSync(file, JSON.stringify(adaptive));
  const args = ['train', data, '-o', killed, '--config', file, '--resume'];
  for (let times = 0; times < KILLS; times++) {
    const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    await growth(join(killed, 'events.jsonl'), child);
    // From here on steps, checkpoints, validations and pictures follow each other within moments.
    await new Promise((wake) => setTimeout(wake, 1200 * Math.random()));
    child.kill('SIGKILL');
    await ended;
    if (existsSync(join(killed, 'metrics.csv'))) t.true(table(killed).every(({ loss }) => loss !== undefined));
  }
  t.is((await train({ dataset: data, out: killed, resume: true })).step, STEPS);
  for (const name of ['model.safetensors', 'training.safetensors', 'adapt.json']) {
    for (const kept of ['latest', 'best']) {
      const [ours, theirs] = [killed, whole].map((run) => readFileSync(join(run, kept, name)));
      t.true(theirs && ours?.equals(theirs), `${kept}/${name}`);
    }
  }
  const told = (run: string) => table(run).map(({ seconds, validation_seconds, ...row }) => row);
  t.deepEqual(told(killed), told(whole));
  const made = (run: string) =>
    eventsOf(run)
      .filter(({ type }) => type === 'validation')
      .map(({ step }) => step);
  t.deepEqual(made(killed), made(whole));
  checkTensorBoard(t.deepEqual, killed);
  t.deepEqual(readdirSync(join(killed, 'validation')).sort(), readdirSync(join(whole, 'validation')).sort());
});

test('a run that is short of memory computes blocks twice, to the same bits, or is refused', async (t) => {
  const starts: Extract<TrainEvent, { type: 'start' }>[] = [];
  const run = async (maxMemoryBytes?: number, out = join(folder(), 'run')) => {
    const onEvent = (event: TrainEvent) => event.type === 'start' && starts.push(event);
    await train({ dataset: data, out, config: { ...smallest, steps: 3 }, maxMemoryBytes, onEvent });
    return readFileSync(join(out, 'latest', 'model.safetensors'));
  };
  const free = await run();
  const [first] = starts;
  const short = await run((first?.predictedBytes ?? 0) - 1);
  t.true(short.equals(free));
  t.deepEqual(
    starts.map(({ recompute }) => recompute),
    [false, true],
  );
  const refused = join(folder(), 'run');
  await t.throwsAsync(run(1e6, refused), { code: 'ERR_MEMORY', message: /recomputed/ });
  t.false(existsSync(join(refused, 'run.json')));
});

/** Waits until a file has grown. */
async function growth(file: string, child: { exitCode: number | null }): Promise<void> {
  const size = () => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const before = size();
  while (size() <= before && child.exitCode === null) await new Promise((wake) => setTimeout(wake, 5));
}

test('a run of all folds goes on where it stopped, and its models answer together', async (t) => {
  const folds = await halfLabelled();
  const splits = [
    { train: ['half', 'one'], val: ['two'] },
    { train: ['half'], val: ['one'] },
  ];
  writeFileSync(join(folds, 'splits_final.json'), JSON.stringify(splits));
  const out = join(folder(), 'run');
  const quick = { schedule: { warmupSteps: 0 }, step: { ...smallest.step, optimizer: { meanDecay: 0 } } };
  const config: TrainSettings = { ...smallest, ...quick, steps: 2 };
  const stop = new AbortController();
  const onEvent = (event: TrainEvent) => event.type === 'step' && event.step === 0 && stop.abort();
  const options = { dataset: folds, out, fold: 'all' } as const;
  await t.throwsAsync(train({ ...options, config, onEvent, signal: stop.signal }), { any: true, name: 'AbortError' });
  t.false(existsSync(join(out, 'fold-1')));
  await t.throwsAsync(train({ ...options, config }), { code: 'ERR_USAGE', message: /already holds a run/ });
  await t.throwsAsync(train({ dataset: folds, out, config }), { code: 'ERR_USAGE', message: /all folds/ });
  const result = await train({ ...options, resume: true });
  t.like(result, { reason: 'finished', step: 4, best: out });
  t.deepEqual(
    result.folds?.map(({ best, step }) => [best, step]),
    [
      [join(out, 'fold-0', 'best'), 2],
      [join(out, 'fold-1', 'best'), 2],
    ],
  );
  t.deepEqual(await train({ ...options, resume: true }), result);
  const wrong = train({ dataset: folds, out: join(out, 'fold-1'), fold: 0, resume: true });
  await t.throwsAsync(wrong, { code: 'ERR_USAGE', message: /of fold 1, not 0/ });
  await checkMean(t.true, out);
  const { ct } = chest();
  const input = join(folder(), 'ct.nii.gz');
  await writeVolume(input, ct);
  const job = { input, output: join(folder(), 'labels.nii.gz') };
  t.like(await segmentToFile({ ...job, model: out }), { model: out, folds: 2 });
  const one = join(out, 'fold-0');
  t.like(await segmentToFile({ ...job, model: one }), { model: join(one, 'best'), folds: 1 });
  t.is(findModel(one), join(one, 'best'));
  t.throws(() => findModel(out), { code: 'ERR_MODEL', message: /2 folds/ });
  rmSync(join(one, 'best'), { recursive: true });
  t.is(findModel(one), join(one, 'latest'));
});

/** The probabilities of a run of two folds are the means of theirs. */
async function checkMean(holds: (value: boolean, message: string) => void, out: string): Promise<void> {
  const probabilities = async (model: string) => {
    using segmenter = await Segmenter.load({ model });
    return (await segmenter.segment(chest().ct, { probabilities: true })).probabilities ?? new Float32Array();
  };
  const [mean, first, second] = [
    await probabilities(out),
    await probabilities(join(out, 'fold-0')),
    await probabilities(join(out, 'fold-1')),
  ];
  const furthest = (of: (voxel: number) => number) =>
    mean.reduce((most, value, voxel) => Math.max(most, Math.abs(value - of(voxel))), 0);
  const off = furthest((voxel) => ((first[voxel] ?? 0) + (second[voxel] ?? 0)) / 2);
  holds(off < 1e-4, `${off}`);
  holds(furthest((voxel) => first[voxel] ?? 0) > 1e-4, 'the folds are one model');
}

test('time for all folds is time for all', async (t) => {
  const out = join(folder(), 'run');
  const result = await train({ dataset: data, out, config: smallest, fold: 'all', maxSeconds: 0.001 });
  t.like(result, { reason: 'time', step: 0, validation: null, best: null });
});
