import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ConfigError, Segmenter, type TrainEvent, type TrainSettings, train, UsageError } from 'pulmoav';
import { chest, dataset, folder, root, smallest } from './fixture.js';

let data: string;
test.before(async () => {
  data = await dataset();
});

const fourSteps: TrainSettings = { ...smallest, steps: 4 };
const weights = (run: string, kept = 'latest') => readFileSync(join(run, kept, 'model.safetensors'));
const diary = (run: string) =>
  readFileSync(join(run, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TrainEvent);

test('a run tells its steps, keeps models, and its diary matches its events', async (t) => {
  const out = join(folder(), 'run');
  const events: TrainEvent[] = [];
  const result = await train({ dataset: data, out, config: fourSteps, onEvent: (event) => events.push(event) });
  t.like(result, { reason: 'finished', step: 4, best: join(out, 'best') });
  t.true(result.validation !== null && 'artery' in result.validation);
  t.deepEqual(diary(out), events);
  t.is(events.filter(({ type }) => type === 'step').length, 4);
  for (const event of events) if (event.type === 'step') t.true(Number.isFinite(event.loss) && event.gradNorm > 0);
  using segmenter = await Segmenter.load({ model: result.best });
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
    diary(run).flatMap((event) => (event.type === 'step' ? [[event.step, event.loss]] : []));
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
  t.like(result, { reason: 'time', step: 1, validation: null, best: join(out, 'latest') });
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
