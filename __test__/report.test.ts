import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { decode } from 'fast-png';
import { compare, type Evaluation, evaluateFolders, evaluationToFolder, type Volume, writeVolume } from 'pulmoav';
import { folder, listing, root } from './fixture.js';

interface Summary {
  foreground_mean: Record<string, number | null>;
  mean: Record<string, Record<string, number | null>>;
  metric_per_case: { metrics: Record<string, object>; prediction_file: string; reference_file: string }[];
}
interface Golden {
  nnunet: { shape: [number, number, number]; cases: Record<string, { pred: string; ref: string }>; summary: Summary };
}
/** By nnU-Net v2; evaluation.golden.py made it. */
const { nnunet } = JSON.parse(readFileSync(join(root, '__test__/evaluation.golden.json'), 'utf8')) as Golden;

const shape = [12, 14, 16] as [number, number, number];
const geometry = {
  spacingMm: [2, 1, 1] as [number, number, number],
  affine: [1, 0, 0, -20, 0, 1, 0, 5, 0, 0, 2, 0, 0, 0, 0, 1],
};

function volume(digits: string, size = nnunet.shape): Volume<Uint8Array> {
  return { data: Uint8Array.from(digits, Number), shape: size, ...geometry };
}

/** An artery and a vein, of which the last `missed` voxels are not found. */
function vessels(missed = 0): Volume<Uint8Array> {
  const data = new Uint8Array(shape[0] * shape[1] * shape[2]);
  data.fill(1, 400, 700 - missed).fill(2, 1000, 1250 - missed);
  return { data, shape, ...geometry };
}

/** Two models of `count` cases, the second one worse; what a user has. */
async function twoModels(count: number): Promise<{ ref: string; good: string; bad: string }> {
  const [ref, good, bad] = [folder(), folder(), folder()];
  for (let index = 0; index < count; index++) {
    const name = `case${String(index).padStart(2, '0')}.nii.gz`;
    await writeVolume(join(ref, name), vessels());
    await writeVolume(join(good, name), vessels(10 + 3 * index));
    await writeVolume(join(bad, name), vessels(60 + 5 * index));
  }
  return { ref, good, bad };
}

function pulmoav(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...args], { encoding: 'utf8' });
}

test('summary.json is nnU-Net’s, and JSON where nnU-Net writes NaN', async (t) => {
  const [pred, ref, out] = [folder(), folder(), join(folder(), 'report')];
  for (const [name, maps] of Object.entries(nnunet.cases)) {
    await writeVolume(join(pred, `${name}.nii.gz`), volume(maps.pred));
    await writeVolume(join(ref, `${name}.nii.gz`), volume(maps.ref));
  }
  const evaluation = await evaluateFolders(pred, ref);
  const { files } = await evaluationToFolder({ evaluation, out });
  const found = JSON.parse(readFileSync(files.summary, 'utf8')) as Summary & { pulmoav: object };
  const { summary } = nnunet;
  t.is(found.metric_per_case.length, summary.metric_per_case.length);
  for (const [index, wanted] of summary.metric_per_case.entries()) {
    const one = found.metric_per_case[index];
    t.deepEqual(one?.metrics, wanted.metrics, wanted.reference_file);
    t.is(one?.prediction_file, join(pred, wanted.prediction_file));
    t.is(one?.reference_file, join(ref, wanted.reference_file));
  }
  for (const [label, row] of [...Object.entries(summary.mean), ['', summary.foreground_mean] as const]) {
    const own = label === '' ? found.foreground_mean : found.mean[label];
    for (const [name, value] of Object.entries(row)) {
      t.true(Math.abs((own?.[name] ?? Number.NaN) - (value ?? Number.NaN)) < 1e-9, `${label} ${name}`);
    }
  }
  t.deepEqual(Object.keys(found), ['foreground_mean', 'mean', 'metric_per_case', 'pulmoav']);
});

test('a mask counts the true negatives inside it alone', async (t) => {
  const { ref, good } = await twoModels(1);
  const [within, out] = [folder(), folder()];
  const mask = vessels();
  mask.data.fill(0).fill(1, 0, 1000);
  await writeVolume(join(within, 'case00.nii.gz'), mask);
  const evaluation = await evaluateFolders(good, ref, { within });
  const { files } = await evaluationToFolder({ evaluation, out, pictures: 0 });
  const { metric_per_case } = JSON.parse(readFileSync(files.summary, 'utf8')) as Summary;
  t.like(metric_per_case[0]?.metrics['1'], { TP: 290, FP: 0, FN: 10, TN: 700 });
});

test('TN goes by what is ignored, and cases keep their order however much memory there is', async (t) => {
  const { ref, good } = await twoModels(3);
  const whole = await evaluateFolders(good, ref);
  for (const maxMemory of [1, 2 ** 40]) {
    t.deepEqual(await evaluateFolders(good, ref, { maxMemory }), whole);
  }
  const out = folder();
  const { files } = await evaluationToFolder({ evaluation: await evaluateFolders(good, ref, { ignore: [2] }), out });
  const { metric_per_case } = JSON.parse(readFileSync(files.summary, 'utf8')) as Summary;
  const counts = metric_per_case[0]?.metrics['1'] as Record<string, number> | undefined;
  const sum = ['TP', 'FP', 'FN', 'TN'].reduce((total, key) => total + (counts?.[key] ?? 0), 0);
  const first = whole.cases.find((one) => 'scores' in one);
  const veins = first?.scores.vein?.refVoxels ?? 0;
  t.is(sum, (first?.countedVoxels ?? 0) - veins);
  await t.throwsAsync(evaluateFolders(good, ref, { maxMemory: 0 }), { code: 'ERR_USAGE' });
});

test('files pair by name, whatever their ending and nnU-Net’s _0000; what has no partner is said', async (t) => {
  const [pred, ref] = [folder(), folder()];
  await writeVolume(join(pred, 'a.nii.gz'), vessels());
  await writeVolume(join(ref, 'a_0000.nii'), vessels());
  await writeVolume(join(pred, 'b_0000.nii.gz'), vessels());
  await writeVolume(join(ref, 'b_0000.nii'), vessels());
  await writeVolume(join(pred, 'b_0001.nii.gz'), vessels(5));
  await writeVolume(join(ref, 'c.nii'), vessels());
  writeFileSync(join(pred, '._a.nii.gz'), 'macOS');
  writeFileSync(join(pred, 'dataset.json'), '{}');
  const found = await evaluateFolders(pred, ref);
  t.deepEqual(
    found.cases.map((one) => [one.name, 'scores' in one ? one.scores.artery?.dice : one.error.code]),
    [
      ['a', 1],
      ['b_0000', 1],
      ['b_0001', 'ERR_IO'],
      ['c', 'ERR_IO'],
    ],
  );
  t.deepEqual(found.unpaired, [
    { name: 'b_0001', file: join(pred, 'b_0001.nii.gz'), missing: 'reference' },
    { name: 'c', file: join(ref, 'c.nii'), missing: 'prediction' },
  ]);
  t.deepEqual(found.intervals.artery?.dice, { low: 1, high: 1 });
});

test('one case has no interval, and nothing to compare has none', async (t) => {
  const { ref, good, bad } = await twoModels(1);
  const evaluation = await evaluateFolders(good, ref);
  t.is(evaluation.intervals.artery?.dice, null);
  t.is(evaluation.intervals.artery?.clDice, undefined);
  const compared = await compare(evaluation, await evaluateFolders(bad, ref));
  t.like(compared.differences.artery?.dice, { cases: 1, interval: null, higher: 1, lower: 0 });
  t.is(compared.differences.artery?.clDice, undefined);
  await t.throwsAsync(evaluateFolders(good, ref, { bootstrap: { draws: 1 } }), { code: 'ERR_USAGE' });
  await t.throwsAsync(evaluateFolders(good, ref, { bootstrap: { level: 95 } }), { code: 'ERR_USAGE' });
  const reason = new Error('enough');
  await t.throwsAsync(evaluateFolders(good, ref, { signal: AbortSignal.abort(reason) }), { is: reason });
});

test('a file against a folder is wrong usage', async (t) => {
  const { ref, good } = await twoModels(1);
  await t.throwsAsync(evaluateFolders(join(good, 'case00.nii.gz'), ref), { code: 'ERR_USAGE' });
});

test('two folders in, a comparison out, with a wrong file among them', async (t) => {
  const { ref, good, bad } = await twoModels(8);
  const out = join(folder(), 'report');
  writeFileSync(join(good, 'case03.nii.gz'), 'damaged');
  const scores = join(folder(), 'scores.json');
  const ended = pulmoav(
    'evaluate',
    '--pred',
    good,
    '--ref',
    ref,
    '--against',
    bad,
    '--report',
    out,
    '-o',
    scores,
    '--json',
  );
  t.is(ended.status, 4, ended.stderr);
  const told = JSON.parse(ended.stdout);
  t.is(told.schemaVersion, 1);
  t.deepEqual(told.cases[3], { name: 'case03', error: { ...told.cases[3].error, code: 'ERR_FORMAT' } });
  const dice = told.comparison.differences.artery.dice;
  t.is(dice.cases, 7);
  t.true(dice.interval.low > 0 && dice.difference > dice.interval.low && dice.difference < dice.interval.high);
  t.like(dice, { higher: 7, lower: 0, wilcoxon: { statistic: 0, p: 2 / 2 ** 7, method: 'exact' } });
  t.deepEqual(told.comparison.onlySecond, ['case03']);
  t.deepEqual(listing(out), [
    'against-scores.csv',
    'against-summary.json',
    'comparison.json',
    'report.html',
    'scores.csv',
    'summary.json',
  ]);
  const { files, warnings, ...result } = told;
  t.deepEqual(JSON.parse(readFileSync(scores, 'utf8')), result);
  t.is(files.page, join(out, 'report.html'));
  t.deepEqual(warnings, []);

  const again = pulmoav('compare', scores, join(out, 'against-summary.json'), '--json');
  t.is(again.status, 0, again.stderr);
  t.deepEqual(JSON.parse(again.stdout), { schemaVersion: 1, ...told.comparison });
  const words = pulmoav('compare', scores, join(out, 'against-summary.json'));
  t.regex(words.stdout, /artery +Dice .*p = 0\.016/);
  t.regex(words.stderr, /case03 has scores in the second alone/);
});

test('results of nnU-Net compare too; what is no result, or has nothing in common, is refused', async (t) => {
  const at = (name: string) => join(directory, name);
  const directory = folder();
  const theirs = (dice: string) =>
    `{"metric_per_case": [{"metrics": {"1": {"Dice": ${dice}, "IoU": NaN, "TP": 3}}, "reference_file": "x/a.nii.gz"}]}`;
  writeFileSync(at('one.json'), theirs('0.75'));
  writeFileSync(at('two.json'), theirs('0.5'));
  writeFileSync(at('undefined.json'), theirs('NaN'));
  const { differences } = await compare(at('one.json'), at('two.json'));
  t.like(differences['1']?.dice, { first: 0.75, second: 0.5, difference: 0.25, interval: null });
  t.is(differences['1']?.iou, null);
  t.is((await compare(at('one.json'), at('undefined.json'))).differences['1']?.dice, null);
  const refused: [string, string, string][] = [
    ['none.json', '', 'ERR_IO'],
    ['broken.json', '{"cases":', 'ERR_FORMAT'],
    ['other.json', '{"cases": 3}', 'ERR_FORMAT'],
    ['elsewhere.json', '{"cases": [{"name": "b", "scores": {"1": {"dice": 1}}}]}', 'ERR_FORMAT'],
    ['twice.json', '{"cases": [{"name": "a", "scores": {}}, {"name": "a", "scores": {}}]}', 'ERR_FORMAT'],
  ];
  for (const [name, content, code] of refused) {
    if (content) writeFileSync(at(name), content);
    await t.throwsAsync(compare(at('one.json'), at(name)), { code }, name);
  }
  const kept = readFileSync(at('one.json'), 'utf8');
  t.is(pulmoav('compare', at('one.json'), at('two.json'), '-o', at('one.json')).status, 2);
  t.is(readFileSync(at('one.json'), 'utf8'), kept);
});

test('scores.csv has a row a case and target, quoted where it must be', async (t) => {
  const [pred, ref, out] = [folder(), folder(), folder()];
  const name = 'a "b", c';
  await writeVolume(join(pred, `${name}.nii.gz`), vessels(20));
  await writeVolume(join(ref, `${name}.nii.gz`), vessels());
  await writeVolume(join(ref, 'lost.nii.gz'), vessels());
  const evaluation = await evaluateFolders(pred, ref);
  const { files } = await evaluationToFolder({ evaluation, out });
  const [head, artery, , , lost, end] = readFileSync(files.scores, 'utf8').split('\r\n');
  t.is(head, 'case,target,dice,predVoxels,refVoxels,iou,precision,recall,swapRate,leakage,predMl,refMl,error');
  t.true(artery?.startsWith(`"a ""b"", c",artery,${560 / 580},280,300,${280 / 300},1,${280 / 300},0,`), artery);
  t.is(lost, 'lost,,,,,,,,,,,,ERR_IO');
  t.is(end, '');
});

test('the page loads nothing, escapes names, and shows worst cases first', async (t) => {
  const [pred, ref, images, out] = [folder(), folder(), folder(), folder()];
  const nasty = '<img src=x onerror=alert(1)>&"\'';
  for (const [name, missed] of [
    ['fine', 1],
    [nasty, 200],
  ] as const) {
    await writeVolume(join(pred, `${name}.nii.gz`), vessels(missed));
    await writeVolume(join(ref, `${name}.nii.gz`), vessels());
  }
  writeFileSync(join(pred, '<b>.nii.gz'), 'damaged');
  await writeVolume(join(ref, '<b>.nii.gz'), vessels());
  const scan = { ...vessels(), data: Int16Array.from(vessels().data, (value) => value * 300 - 800) };
  await writeVolume(join(images, 'fine_0000.nii.gz'), scan);
  const evaluation = await evaluateFolders(pred, ref);
  const { files, warnings } = await evaluationToFolder({ evaluation, out, images });
  t.deepEqual(
    warnings.map(({ code }) => code),
    ['NO_SCAN'],
  );
  const page = readFileSync(files.page, 'utf8');
  t.false(page.includes('<img src=x'));
  t.false(page.includes('<b>'));
  t.notRegex(page, /https?:|<script|<link|url\(/i);
  t.true(page.indexOf('<h3>&lt;img') < page.indexOf('<h3>fine'));
  const pictures = [...page.matchAll(/src="data:image\/png;base64,([^"]+)"/g)].map((found) => found[1] ?? '');
  t.is(pictures.length, 2);
  for (const picture of pictures) t.true(decode(Buffer.from(picture, 'base64')).width > 50);
});

test('no output replaces what was read', async (t) => {
  const { ref, good } = await twoModels(1);
  const before = readFileSync(join(good, 'case00.nii.gz'));
  const at = (name: string) => join(good, name);
  cpSync(at('case00.nii.gz'), at('summary.nii.gz'));
  const evaluation = await evaluateFolders(good, ref);
  const forged = (file: string): Evaluation => ({
    ...evaluation,
    cases: evaluation.cases.map((one) => ('scores' in one ? { ...one, ref: file } : one)),
  });
  await t.throwsAsync(evaluationToFolder({ evaluation: forged(at('summary.json')), out: good }), { code: 'ERR_USAGE' });
  t.is(pulmoav('evaluate', '--pred', good, '--ref', ref, '-o', at('case00.nii.gz')).status, 2);
  const both = pulmoav('evaluate', '--pred', good, '--ref', ref, '--report', good, '-o', at('scores.csv'));
  t.is(both.status, 2, both.stderr);
  t.true(readFileSync(at('case00.nii.gz')).equals(before));
  writeFileSync(join(ref, 'a file'), '');
  const blocked = pulmoav('evaluate', '--pred', good, '--ref', ref, '--report', join(ref, 'a file'), '--json');
  t.is(blocked.status, 3);
  t.is(JSON.parse(blocked.stdout).error.code, 'ERR_IO');
  t.deepEqual(listing(good), ['case00.nii.gz', 'summary.nii.gz']);
});

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
});

test('a browser shows the page', async (t) => {
  if (!chromium) {
    t.log('skipped: no Chromium');
    return t.pass();
  }
  const { ref, good, bad } = await twoModels(4);
  const [out, profile] = [folder(), folder()];
  const options = { draws: 500 };
  const evaluation = await evaluateFolders(good, ref, { bootstrap: options });
  const against = await evaluateFolders(bad, ref, { bootstrap: options });
  const { files } = await evaluationToFolder({ evaluation, against, out });
  t.true(statSync(files.page).size < 3e6);
  const shot = join(profile, 'page.png');
  mkdirSync(join(profile, 'user'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
  const where = [`--user-data-dir=${join(profile, 'user')}`, `--screenshot=${shot}`, '--window-size=1200,2400'];
  execFileSync(chromium, [...flags, ...quiet, ...where, `file://${files.page}`], { stdio: 'ignore', timeout: 120_000 });
  t.true(existsSync(shot));
  const { data } = decode(readFileSync(shot));
  t.true(new Set(data.slice(0, 400_000)).size > 20, 'not one colour');
});
