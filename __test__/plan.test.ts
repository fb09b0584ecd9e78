import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  type Fingerprint,
  FormatError,
  MemoryError,
  plan,
  type TrainSettings,
  train,
  UsageError,
  writeVolume,
} from 'pulmoav';
import { choose } from '../dist/plan/choose.js';
import { chest, dataset, folder, root } from './fixture.js';

/** Two chests with other voxels, and no splits. */
async function unsplit(): Promise<string> {
  const data = await dataset();
  const { ct } = chest();
  await writeVolume(join(data, 'imagesTr', 'two_0000.nii.gz'), { ...ct, data: ct.data.map((hu) => hu + 3) });
  rmSync(join(data, 'splits_final.json'));
  return data;
}

const found: Fingerprint = {
  cases: { full: 40, half: 0, unlabelled: 0, unusable: 0 },
  sides: { left: 40, right: 40 },
  classes: { artery: 40, vein: 40 },
  spacingMm: { median: [1, 0.7, 0.7], least: [0.6, 0.6, 0.6], most: [1.5, 0.8, 0.8] },
  shape: [320, 512, 512],
  hu: { artery: [-300, 220, 487], vein: [-350, 180, 390] },
  calibres: { artery: [0.3, 0.3, 0.4], vein: [0.3, 0.4, 0.3] },
  ceilings: [
    { edgeMm: 1, artery: 0.98, vein: 0.97 },
    { edgeMm: 1.25, artery: 0.9, vein: 0.89 },
    { edgeMm: 1.5, artery: 0.85, vein: 0.83 },
  ],
};
const GIB = 2 ** 30;

test('spacing, patch, window and network follow the fingerprint', (t) => {
  const { config, ceiling, reasons } = choose(found, 16 * GIB);
  t.deepEqual(ceiling, { artery: 0.9, vein: 0.89 });
  t.like(config, {
    recipe: 'tiny',
    plan: { spacingMm: [1.25, 1.25, 1.25], patch: [64, 64, 64], tiles: { tile: [96, 96, 96] } },
    step: { batch: 2, unannotated: 'ignore' },
  });
  t.deepEqual(config.plan?.channels?.[1], { kind: 'window', windowHu: [-500, 500] });
  t.regex(reasons.find(({ field }) => field === 'plan.spacingMm')?.reason ?? '', /0\.90 .* at 1\.5 mm 0\.85/);
  const coarse = { ...found, ceilings: found.ceilings.map((one) => ({ ...one, vein: 0.5 })) };
  t.regex(choose(coarse, 16 * GIB).reasons[0]?.reason ?? '', /none reaches/);
});

test('memory and the number of cases decide the size', (t) => {
  const channels = (bytes: number, full = 40) =>
    choose({ ...found, cases: { ...found.cases, full } }, bytes).reasons.find(({ field }) => field.endsWith('Channels'))
      ?.value;
  t.deepEqual(
    [channels(16 * GIB), channels(16 * GIB, 400), channels(0.3 * GIB)],
    ['[16, 32, 64, 128]', '[32, 64, 128, 256]', '[8, 16, 32, 64]'],
  );
  const small = choose(found, 0.45 * GIB);
  t.true(small.predictedBytes <= 0.45 * GIB);
  t.throws(() => choose(found, 0.1 * GIB), { instanceOf: MemoryError });
  const flat = choose({ ...found, shape: [20, 512, 512] }, 16 * GIB).config.plan?.patch;
  t.deepEqual(flat, [32, 64, 64]);
});

test('what is not annotated carries no loss, and the plan says so', (t) => {
  for (const cases of [
    { ...found.cases, half: 3 },
    { ...found.cases, unlabelled: 1 },
  ]) {
    const { config, reasons } = choose({ ...found, cases }, 16 * GIB);
    t.is(config.step?.unannotated, 'ignore');
    t.regex(reasons.find(({ field }) => field === 'step.unannotated')?.reason ?? '', /carries no loss/);
  }
});

test('a data set is measured, and training takes the config that is written', async (t) => {
  const data = await unsplit();
  const out = join(folder(), 'config.json');
  const made = await plan(data, { out, folds: 2, maxMemoryBytes: 4 * GIB });
  t.is(made.splits, 'written');
  t.deepEqual(JSON.parse(readFileSync(join(data, 'splits_final.json'), 'utf8')), [
    { train: ['one'], val: ['two'] },
    { train: ['two'], val: ['one'] },
  ]);
  t.like(made.fingerprint.cases, { full: 2, half: 0, unlabelled: 0, unusable: 0 });
  t.deepEqual(made.fingerprint.spacingMm.median, [4, 3.5, 3.5]);
  const { ceilings, calibres, hu } = made.fingerprint;
  t.true((ceilings[0]?.artery ?? 0) > 0.9 && (calibres.artery?.length ?? 0) === 3 && (hu.vein?.[1] ?? 0) > 0);
  t.is((await plan(data, { folds: 2 })).splits, 'kept');
  const config = JSON.parse(readFileSync(out, 'utf8')) as TrainSettings;
  t.deepEqual(config, made.config);
  const short: TrainSettings = { ...config, textModel: 'tiny', steps: 1, validateCases: 1, validateEvery: 0 };
  t.is((await train({ dataset: data, out: join(folder(), 'run'), config: short })).step, 1);
});

test('the command prints a config or writes it, with a reason a line', async (t) => {
  const data = await unsplit();
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), 'plan', data, ...args], { encoding: 'utf8' });
  const printed = run();
  t.is(printed.status, 0, printed.stderr);
  t.is((JSON.parse(printed.stdout) as TrainSettings).recipe, 'tiny');
  t.regex(printed.stderr, /^plan\.spacingMm = [\d.]+: scans have 4\.00 × 3\.50 × 3\.50 mm; labels keep a Dice of /m);
  const output = join(folder(), 'plan.json');
  const told = run('-o', output, '--max-memory', '3G', '--json');
  t.regex(told.stdout, /^\{"schemaVersion":1,"config":/);
  t.true(existsSync(output));
  t.is(run('--max-memory', '10M').status, 3);
});

test('data sets without labels and too many folds are refused', async (t) => {
  const data = await unsplit();
  await t.throwsAsync(plan(data, { folds: 3 }), { instanceOf: UsageError, message: /too few labelled cases/ });
  const annotated = { sides: [], classes: [] };
  const file = join(data, 'dataset.json');
  const description = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...description, cases: { one: { annotated }, two: { annotated } } }));
  await t.throwsAsync(plan(data), { instanceOf: FormatError, message: /no labelled case/ });
});

test('a config never takes the place of what the data set needs', async (t) => {
  const data = await unsplit();
  for (const name of ['dataset.json', 'splits_final.json']) {
    await t.throwsAsync(plan(data, { out: join(data, name) }), { instanceOf: UsageError, message: /would replace/ });
  }
  const nowhere = join(data, 'nowhere', 'config.json');
  await t.throwsAsync(plan(data, { out: nowhere }), { code: 'ERR_IO', message: /there is no folder/ });
});
