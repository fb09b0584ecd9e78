// Input: phantoms of seeds below FIRST_SEED, annotated in full, in one lung, or not at all. Expected: the checks at the
// end. Peer: the same network taught as published code teaches it, the other lung as background. Resumable: runs of the
// same settings are kept in the record.
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, phantom, Segmenter, train, writeVolume } from '../../dist/index.js';
import { modelFacts, root } from '../machine.mjs';
import { FIRST_SEED, testPhantoms } from '../phantoms.mjs';
import { mean, three, within } from '../table.mjs';

export const about =
  'what half-labelled and unlabelled scans add: one network, eight ways to teach it ' +
  '(--kinds ARM,ARM, --seeds N, --steps N, --cases N, --count test phantoms)';

const STEPS = 1500;
const CASES = 6;
const TEST_PHANTOMS = 12;
const FIRST_TRAINING_SEED = 41_001;
/** What is kept of an arm: Dice, clDice and the share of the vessels' voxels given the other class. */
const SCORES = ['artery', 'vein', 'arteryClDice', 'veinClDice', 'swapped'];
const teacher = { step: { unannotated: 'teacher' } };
/** A teacher that is asked in one patch of thirteen instead of one of four. */
const rareTeacher = { step: { unannotated: 'teacher', sampling: { unannotated: 0.25 } } };
/** A teacher that is believed as soon as it agrees with the reference. */
const readyTeacher = { step: { unannotated: 'teacher' }, adapt: { teacher: { rampShare: 0.02 } } };

/** What is annotated of the first case and of the others, and how the run learns. */
const ARMS = {
  F: { first: 'full', rest: 'full', config: {} },
  'H-background': { first: 'half', rest: 'half', config: { step: { unannotated: 'background' } } },
  'H-plain': { first: 'half', rest: 'half', config: {} },
  'H-ours': { first: 'half', rest: 'half', config: teacher },
  'few-full': { first: 'full', rest: 'absent', config: {} },
  'few-full + H-plain': { first: 'full', rest: 'half', config: {} },
  'few-full + H-ours': { first: 'full', rest: 'half', config: teacher },
  'few-full + U-ours': { first: 'full', rest: 'none', config: teacher },
};

/** Policies one at a time, beside few-full + H-plain and few-full + U-ours; run where --kinds names them. */
const POLICIES = {
  'H-plain with uncertainty': { first: 'full', rest: 'half', config: { adapt: { uncertainty: { enabled: true } } } },
  'H-plain with sampling': { first: 'full', rest: 'half', config: { adapt: { sampling: { enabled: true } } } },
  'H-plain with a rare teacher': { first: 'full', rest: 'half', config: rareTeacher },
  'U-ours with a ready teacher': { first: 'full', rest: 'none', config: readyTeacher },
};
const WAYS = { ...ARMS, ...POLICIES };

export async function run(context) {
  const steps = context.steps ?? STEPS;
  const cases = context.cases ?? CASES;
  const settings = { steps, cases, testPhantoms: context.count ?? TEST_PHANTOMS };
  const { model } = context;
  return raced({ name: 'few-labels', model, settings, style: 'plain', testSeed: FIRST_SEED, config: {} }, context);
}

/** Teaches a network each way, from `model`'s text tower or, with `config.init`, its weights too. */
export async function raced(race, context) {
  const { settings } = race;
  const names = context.kinds?.split(',') ?? Object.keys(ARMS);
  const unknown = names.filter((name) => !(name in WAYS));
  if (unknown.length > 0) throw new Error(`There is no arm ${unknown}; expected ${Object.keys(WAYS)}.`);
  const runs = keptRuns(race, context);
  for (let seed = 1; seed <= (context.seeds ?? 1); seed++) {
    for (const arm of names) {
      const done = runs.find((one) => one.arm === arm && one.seed === seed);
      if (done) continue;
      runs.push({ arm, seed, ...(await taught(arm, seed, race, context)) });
      keep(settings, runs, context);
    }
  }
  const summary = summarised(runs);
  return { settings, runs, summary, tables: [table(summary)], checks: checks(summary) };
}

/** Trains one arm and scores it on phantoms of other seeds. */
async function taught(arm, seed, { model, settings, style, testSeed, config: common }, context) {
  const { path } = await modelFacts(model);
  const way = WAYS[arm];
  const dataset = await dataSet(way, settings.cases, style, context);
  const out = join(context.work, `${arm.replaceAll(' ', '')}-${seed}-${settings.steps}`);
  const config = {
    textModel: path,
    steps: settings.steps,
    validateEvery: 0,
    ...common,
    step: { seed, ...way.config.step },
    adapt: {
      ...common.adapt,
      ...way.config.adapt,
      teacher: { ...common.adapt?.teacher, ...way.config.adapt?.teacher },
    },
  };
  const seconds = [];
  const onEvent = (event) => {
    if (event.type !== 'step') return;
    seconds.push(event.seconds);
    if (event.step % 50 === 0) context.say(told(arm, seed, event));
  };
  rmSync(out, { recursive: true, force: true });
  await train({ dataset, out, config, threads: context.threads, onEvent });
  const scores = await scored(
    join(out, 'latest'),
    await testPhantoms(context, settings.testPhantoms, testSeed, style),
    context,
  );
  context.say(`${arm}, seed ${seed}: ${JSON.stringify(scores)}`);
  return { ...scores, secondsPerStep: three(mean(seconds)) };
}

function told(arm, seed, { step, loss, seconds, teacher }) {
  const taught = teacher
    ? `, teacher ${teacher.weight.toFixed(2)} × ${teacher.loss?.toFixed(3)}, thresholds ${teacher.thresholds.map((t) => t.toFixed(2))}, ` +
      `accepted ${teacher.accepted.map((share) => share?.toFixed(2))}, agreement ${teacher.agreement.map((dice) => dice?.toFixed(2))}`
    : '';
  return `${arm}, seed ${seed}, step ${step}: loss ${loss?.toFixed(3)}, ${seconds.toFixed(2)} s${taught}`;
}

/** Mean scores inside the lungs. */
export async function scored(model, phantoms, context) {
  const segmenter = await Segmenter.load({ model, threads: context.threads });
  const all = [];
  for (const { image, label, lungs } of phantoms) {
    const { labels } = await segmenter.segment(image);
    const found = join(context.work, 'found.nii.gz');
    await writeVolume(found, labels, { like: image });
    const { artery, vein, vessels } = await evaluate(found, label, { within: lungs, centrelines: true });
    all.push({
      artery: artery.dice,
      vein: vein.dice,
      arteryClDice: artery.clDice,
      veinClDice: vein.clDice,
      swapped: vessels.swapRate,
    });
  }
  segmenter.dispose();
  return Object.fromEntries(SCORES.map((key) => [key, three(mean(all.map((one) => one[key])))]));
}

/** The folder of an arm: links to phantoms made once in full and once half-labelled, and what is annotated of each. */
async function dataSet({ first, rest }, count, style, { work, say }) {
  const onProgress = ({ done, total }) => say(`training phantoms ${done}/${total}`);
  const wanted = { count, seed: FIRST_TRAINING_SEED, size: 'small', style, onProgress };
  const make = (kind, halfLabelled) => phantom({ ...wanted, out: join(work, kind), halfLabelled });
  const made = { full: await make('full', false), half: await make('half', true) };
  const folder = join(work, `${first}-${rest}-${count}`);
  rmSync(folder, { recursive: true, force: true });
  for (const part of ['imagesTr', 'labelsTr', 'airwaysTr']) mkdirSync(join(folder, part), { recursive: true });
  const cases = {};
  for (let index = 0; index < count; index++) {
    const kind = index === 0 ? first : rest;
    if (kind === 'absent') continue;
    const source = kind === 'half' ? made.half[index] : made.full[index];
    const file = `${source.name}.nii.gz`;
    symlinkSync(source.image, join(folder, 'imagesTr', `${source.name}_0000.nii.gz`));
    cases[source.name] = { annotated: kind === 'none' ? { sides: [] } : source.annotated };
    if (kind === 'none') continue;
    symlinkSync(source.label, join(folder, 'labelsTr', file));
    symlinkSync(source.airways, join(folder, 'airwaysTr', file));
  }
  const names = Object.keys(cases);
  writeFileSync(join(folder, 'splits_final.json'), JSON.stringify([{ train: names, val: [] }]));
  const description = { channel_names: { 0: 'CT' }, labels: { background: 0, artery: 1, vein: 2 } };
  writeFileSync(join(folder, 'dataset.json'), JSON.stringify({ ...description, file_ending: '.nii.gz', cases }));
  return folder;
}

/** Runs of these settings that the record or an earlier, broken-off call holds. */
function keptRuns({ name, settings }, { work }) {
  const same = [join(work, 'runs.json'), join(root, 'benches', 'record', `${name}.json`)]
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')))
    .filter((kept) => JSON.stringify(kept.settings) === JSON.stringify(settings));
  return same.flatMap(({ runs }) => runs).filter(isFirst);
}

function isFirst({ arm, seed }, index, runs) {
  return runs.findIndex((one) => one.arm === arm && one.seed === seed) === index;
}

/** Writes what there is, so that a kill loses one run at most. */
function keep(settings, runs, { work, say }) {
  writeFileSync(join(work, 'runs.json'), JSON.stringify({ settings, runs }));
  say(`${runs.length} runs are kept`);
}

function summarised(runs) {
  return Object.keys(WAYS)
    .map((arm) => ({ arm, runs: runs.filter((one) => one.arm === arm) }))
    .filter(({ runs }) => runs.length > 0)
    .map(({ arm, runs }) => ({
      arm,
      seeds: runs.length,
      ...Object.fromEntries([...SCORES, 'secondsPerStep'].map((key) => [key, spread(runs.map((one) => one[key]))])),
    }));
}

function spread(values) {
  const middle = mean(values);
  const squares = values.map((value) => (value - middle) ** 2);
  return { mean: three(middle), sd: values.length > 1 ? three(Math.sqrt(mean(squares))) : null };
}

function table(summary) {
  const show = ({ mean, sd }) => (sd === null ? mean : `${mean} ± ${sd}`);
  const columns = ['arm', 'seeds', 'artery', 'vein', 'clDice artery', 'clDice vein', 'swapped', 's a step'];
  const rows = summary.map((one) => [
    one.arm,
    one.seeds,
    ...[...SCORES, 'secondsPerStep'].map((key) => show(one[key])),
  ]);
  return { title: 'Dice inside the lungs of unseen phantoms', columns, rows };
}

/** Mean Dice of both classes, in points. */
function points(summary, arm) {
  const found = summary.find((one) => one.arm === arm);
  return found ? 50 * (found.artery.mean + found.vein.mean) : Number.NaN;
}

function checks(summary) {
  const [full, plain, ours] = ['F', 'H-plain', 'H-ours'].map((arm) => points(summary, arm));
  const few = points(summary, 'few-full');
  const gain = (arm) => three(points(summary, arm) - few);
  return [
    within('points that one lung of two costs (F − H-plain)', three(full - plain), { least: 3 }),
    // Without a gap there is nothing to close.
    within(
      'share of that gap which H-ours closes',
      full - plain < 1 ? Number.NaN : three((ours - plain) / (full - plain)),
      {
        least: 0.6,
      },
    ),
    within('points that H-ours adds to H-plain', three(ours - plain), { least: 0 }),
    within('points that half-labelled scans add to few', gain('few-full + H-ours'), { least: 8 }),
    within('points that unlabelled scans add to few', gain('few-full + U-ours'), { least: 3 }),
  ].filter(({ value }) => !Number.isNaN(value));
}
