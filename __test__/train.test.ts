import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ConfigError, Segmenter, type TrainEvent, type TrainSettings, train, UsageError, writeVolume } from 'pulmoav';
import { chest, dataset, folder, root, smallest } from './fixture.js';

let data: string;
test.before(async () => {
  data = await dataset();
});

const fourSteps: TrainSettings = { ...smallest, steps: 4 };
const weights = (run: string, kept = 'latest') => readFileSync(join(run, kept, 'model.safetensors'));
const eventsOf = (run: string) =>
  readFileSync(join(run, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TrainEvent);

test('a run tells its steps, keeps models, and its event log matches its events', async (t) => {
  const out = join(folder(), 'run');
  const events: TrainEvent[] = [];
  const result = await train({ dataset: data, out, config: fourSteps, onEvent: (event) => events.push(event) });
  t.like(result, { reason: 'finished', step: 4, best: join(out, 'best') });
  t.true(result.validation !== null && 'artery' in result.validation);
  t.deepEqual(eventsOf(out), events);
  t.is(events.filter(({ type }) => type === 'step').length, 4);
  for (const event of events)
    if (event.type === 'step') t.true(Number.isFinite(event.loss) && (event.gradNorm ?? 0) > 0);
  using segmenter = await Segmenter.load({ model: result.best ?? '' });
  await t.notThrowsAsync(segmenter.segment(chest().ct));
  await t.throwsAsync(train({ dataset: data, out, config: fourSteps }), { instanceOf: UsageError, message: /already/ });
});

test('a stopped run resumes to the weights of one that never stopped', async (t) => {
  const [whole, stopped] = [join(folder(), 'run'), join(folder(), 'run')];
  await train({ dataset: data, out: whole, config: fourSteps });
  const halfway = new AbortController();
  const onEvent = (event: TrainEvent) => event.type === 'step' && event.step === 1 && halfway.abort();
  const failure = await train({
    dataset: data,
    out: stopped,
    config: fourSteps,
    onEvent,
    signal: halfway.signal,
  }).catch((thrown: unknown) => thrown);
  t.is((failure as DOMException).name, 'AbortError');
  const { step, reason } = await train({ dataset: data, out: stopped, resume: true });
  t.deepEqual({ step, reason }, { step: 4, reason: 'finished' });
  t.true(weights(whole).equals(weights(stopped)));
  const steps = (run: string) =>
    eventsOf(run).flatMap((event) => (event.type === 'step' ? [[event.step, event.loss]] : []));
  t.deepEqual(steps(stopped), steps(whole));
});

test('a killed run goes on from its last checkpoint to the same weights', async (t) => {
  const [whole, killed] = [join(folder(), 'run'), join(folder(), 'run')];
  const config: TrainSettings = { ...smallest, steps: 6, checkpointSeconds: 0.001 };
  await train({ dataset: data, out: whole, config });
  const file = join(folder(), 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const args = [join(root, 'dist/cli/main.js'), 'train', data, '-o', killed, '--config', file];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  while (!existsSync(join(killed, 'latest')) && child.exitCode === null)
    await new Promise((wake) => setTimeout(wake, 5));
  child.kill('SIGKILL');
  await ended;
  const { step } = await train({ dataset: data, out: killed, resume: true });
  t.is(step, 6);
  t.true(weights(whole).equals(weights(killed)));
});

test('maxSeconds stops resumably', async (t) => {
  const out = join(folder(), 'run');
  const result = await train({ dataset: data, out, config: fourSteps, maxSeconds: 0.001 });
  t.like(result, { reason: 'time', step: 0, validation: null, best: null });
  t.is((await train({ dataset: data, out, config: fourSteps, resume: true })).step, 4);
});

test('a time limit counts from the start, the text tower included', async (t) => {
  const out = join(folder(), 'run');
  const tower = { width: 64, layers: 4, steps: 100_000, batch: 64 };
  const network = { ...(smallest.plan?.network as object), textWidth: 64 };
  const config = { ...smallest, textModel: 'tower', tower, plan: { ...smallest.plan, network } } as TrainSettings;
  const started = performance.now();
  t.like(await train({ dataset: data, out, config, maxSeconds: 1 }), { reason: 'time', step: 0, best: null });
  t.true(performance.now() - started < 20_000);
});

test('a time limit ends a validation too, and the run goes on from the steps before it', async (t) => {
  // Small tiles that overlap make a validation of seconds, between steps of a moment.
  const tiles = { tile: [16, 16, 16] as [number, number, number], overlap: 0.8, skipEmpty: false };
  const config = { ...smallest, steps: 2, validateEvery: 1, plan: { ...smallest.plan, tiles } };
  let [out, types] = ['', [] as string[]];
  // Opening takes as long as the machine likes: the limit is raised until it falls into the validation.
  for (
    let maxSeconds = 1;
    maxSeconds < 100 && types.filter((type) => type === 'checkpoint').length < 2;
    maxSeconds *= 1.4
  ) {
    [out, types] = [join(folder(), 'run'), []];
    const result = await train({ dataset: data, out, config, maxSeconds, onEvent: ({ type }) => types.push(type) });
    t.like(result, { reason: 'time', validation: null });
  }
  t.deepEqual(types, ['start', 'step', 'checkpoint', 'checkpoint', 'end']);
  const resumed = await train({ dataset: data, out, resume: true });
  t.like(resumed, { reason: 'finished', step: 2, best: join(out, 'best') });
});

test('a run goes on with its own config and cases only', async (t) => {
  const out = join(folder(), 'run');
  await train({ dataset: data, out, config: smallest });
  const other = train({ dataset: data, out, config: { ...smallest, validateCases: 2 }, resume: true });
  await t.throwsAsync(other, { instanceOf: UsageError, message: /another config/ });
  const swapped = await dataset();
  writeFileSync(join(swapped, 'splits_final.json'), JSON.stringify([{ train: ['two'], val: ['one'] }]));
  const cases = train({ dataset: swapped, out, resume: true });
  await t.throwsAsync(cases, { instanceOf: UsageError, message: /other cases/ });
});

test('a data set without cases to validate on says so, and keeps no best', async (t) => {
  const few = await dataset();
  writeFileSync(join(few, 'splits_final.json'), JSON.stringify([{ train: ['one', 'two'], val: [] }]));
  const [out, codes] = [join(folder(), 'run'), [] as string[]];
  const onEvent = (event: TrainEvent) => event.type === 'warning' && codes.push(event.code);
  const { best, validation } = await train({ dataset: few, out, config: smallest, onEvent });
  t.deepEqual([best, validation, codes], [join(out, 'latest'), null, ['NO_VALIDATION']]);
});

test('scans without an orientation are said, and refused where one side is annotated', async (t) => {
  const guessed = await dataset();
  const image = join(guessed, 'imagesTr', 'one_0000.nii.gz');
  await writeVolume(image, { ...chest().ct, oriented: false });
  const codes: string[] = [];
  const onEvent = (event: TrainEvent) => event.type === 'warning' && codes.push(event.code);
  await train({ dataset: guessed, out: join(folder(), 'run'), config: smallest, onEvent });
  t.deepEqual(codes, ['NO_ORIENTATION']);
  const description = JSON.parse(readFileSync(join(guessed, 'dataset.json'), 'utf8'));
  description.cases.one.annotated.sides = ['left'];
  writeFileSync(join(guessed, 'dataset.json'), JSON.stringify(description));
  const failing = train({ dataset: guessed, out: join(folder(), 'run'), config: smallest });
  await t.throwsAsync(failing, { code: 'ERR_FORMAT', message: /which way the patient lies/ });
});

test('labels of dataset.json say which value is which class', async (t) => {
  const described = await dataset();
  const { labels } = chest();
  const swapped = { ...labels, data: labels.data.map((label) => (label === 0 ? 0 : 3 - label)) };
  const description = JSON.parse(readFileSync(join(described, 'dataset.json'), 'utf8'));
  for (const name of ['one', 'two']) await writeVolume(join(described, 'labelsTr', `${name}.nii.gz`), swapped);
  writeFileSync(
    join(described, 'dataset.json'),
    JSON.stringify({ ...description, labels: { background: 0, vein: 1, artery: 2 } }),
  );
  const [straight, mapped] = [join(folder(), 'run'), join(folder(), 'run')];
  await train({ dataset: data, out: straight, config: smallest });
  await train({ dataset: described, out: mapped, config: smallest });
  t.true(weights(straight).equals(weights(mapped)));
  for (const labels of [
    { background: 0, liver: 1, spleen: 2 },
    { background: 0, artery: '1', vein: 2 },
  ]) {
    writeFileSync(join(described, 'dataset.json'), JSON.stringify({ ...description, labels }));
    await t.throwsAsync(train({ dataset: described, out: join(folder(), 'run'), config: smallest }), {
      code: 'ERR_FORMAT',
    });
  }
});

test('a tower of its own is trained where the config asks for one', async (t) => {
  const out = join(folder(), 'run');
  const tower = { width: 16, layers: 1, steps: 2, batch: 4 };
  const network = { ...(smallest.plan?.network as object), textWidth: 16 };
  const config = { ...smallest, textModel: 'tower', tower, plan: { ...smallest.plan, network } } as TrainSettings;
  t.is((await train({ dataset: data, out, config })).step, 1);
});

test('configs and data sets that do not hold are one typed error', async (t) => {
  const out = () => join(folder(), 'run');
  const wrong: unknown[] = [
    { steps: -1 },
    { steps: 'fit:soon' },
    { recipe: 'mystery' },
    { plan: { ...smallest.plan, patch: [0, 16, 16] } },
    { stepps: 3 },
    { plan: { network: { preset: 'la-caf' } } },
  ];
  for (const fields of wrong) {
    const config = { ...smallest, ...(fields as TrainSettings) };
    const failing = train({ dataset: data, out: out(), config });
    await t.throwsAsync(failing, { instanceOf: ConfigError, code: 'ERR_CONFIG' }, JSON.stringify(fields));
  }
  await t.throwsAsync(train({ dataset: folder(), out: out(), config: smallest }), { code: 'ERR_IO' });
  const damaged = out();
  await train({ dataset: data, out: damaged, config: smallest });
  writeFileSync(join(damaged, 'run.json'), '{"schemaVersion":1}');
  await t.throwsAsync(train({ dataset: data, out: damaged, resume: true }), {
    code: 'ERR_CONFIG',
    message: /run\.json/,
  });
});

test('a run that gets no better ends early, and is resumed to its end', async (t) => {
  const out = join(folder(), 'run');
  // At this rate weights do not move, so no validation after the first is better.
  const schedule = { learningRate: 1e-30, warmupSteps: 0 };
  const config: TrainSettings = { ...smallest, steps: 8, validateEvery: 1, schedule, earlyStop: { validations: 2 } };
  t.like(await train({ dataset: data, out, config }), { reason: 'converged', step: 3, best: join(out, 'best') });
  const validations = () => eventsOf(out).filter(({ type }) => type === 'validation').length;
  t.is(validations(), 3);
  t.like(await train({ dataset: data, out, resume: true }), { reason: 'converged', step: 3 });
  t.is(validations(), 3);
});

test('several batches a step by momentum resume to the weights of a run that never stopped', async (t) => {
  const [whole, stopped] = [join(folder(), 'run'), join(folder(), 'run')];
  const optimizer = { kind: 'sgd', momentum: 0.9, weightDecay: 3e-5, clipNorm: 12, meanDecay: 0.9 } as const;
  const schedule = { kind: 'poly', learningRate: 1e-2, warmupSteps: 0, exponent: 0.9 } as const;
  const config: TrainSettings = { ...fourSteps, schedule, step: { ...smallest.step, accumulate: 2, optimizer } };
  await train({ dataset: data, out: whole, config });
  const halfway = new AbortController();
  const onEvent = (event: TrainEvent) => event.type === 'step' && event.step === 1 && halfway.abort();
  await t.throwsAsync(train({ dataset: data, out: stopped, config, onEvent, signal: halfway.signal }), { any: true });
  await train({ dataset: data, out: stopped, resume: true });
  t.true(weights(whole).equals(weights(stopped)));
});
