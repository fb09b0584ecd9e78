// Input: two 96³ crops of a phantom at the plan's 1.5 mm. Expected: la-caf with an eighth of its widths learns them by
// heart. Peer: none. The cases are the plan's grid already, so that segment and evaluate score on it.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVolume, train, writeVolume } from '../../dist/index.js';
import { checkTrainConfig } from '../../dist/train/run.js';
import { modelFacts } from '../machine.mjs';
import { testPhantoms } from '../phantoms.mjs';
import { crop, resize, scaled } from '../resample.mjs';
import { median, three, within } from '../table.mjs';

export const about = 'la-caf at widths ÷ 8 overfits two 96³ crops (--steps N, --model M whose text tower serves)';

const STEPS = 500;
const EDGE = 96;
const SPACING_MM = 1.5;
const MIN_DICE = 0.9;
/** Places of the crops along x, y and z as shares of what a crop leaves free; each holds parts of both lungs. */
const PLACES = { low: 0.35, high: 0.65 };

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const steps = context.steps ?? STEPS;
  const dataset = await dataSet(context);
  const out = join(context.work, 'run');
  rmSync(out, { recursive: true, force: true });
  const validations = [];
  const seconds = [];
  const onEvent = (event) => {
    if (event.type === 'validation') validations.push({ step: event.step, ...dice(event.mean) });
    if (event.type === 'step') seconds.push(event.seconds);
    tell(event, context.say);
  };
  const result = await train({ dataset, out, config: config(steps, path), threads: context.threads, onEvent });
  const { artery, vein } = dice(result.validation);
  const rows = validations.map((one) => [one.step, one.artery, one.vein]);
  return {
    textModel: model,
    secondsPerStep: three(median(seconds)),
    validations,
    tables: [{ title: 'Dice on the crops', columns: ['steps', 'artery', 'vein'], rows }],
    checks: [
      within('artery Dice', artery, { least: MIN_DICE }),
      within('vein Dice', vein, { least: MIN_DICE }),
      within('steps', steps, { most: STEPS }),
    ],
  };
}

/** The published recipe, narrow, without augmentation, one crop a step, as its batch norm sees one crop in use. */
function config(steps, textModel) {
  const never = { probability: 0 };
  return checkTrainConfig({
    recipe: 'la-caf',
    plan: { network: { widthDivisor: 8 } },
    textModel,
    steps,
    schedule: { learningRate: 4e-3, warmupSteps: Math.min(20, steps) },
    step: { batch: 1, augment: { rotate: never, shift: never }, optimizer: { clipNorm: 1, weightDecay: 0 } },
    validateEvery: 100,
    validateCases: 2,
  });
}

function dice({ artery, vein }) {
  return { artery: three(artery.dice), vein: three(vein.dice) };
}

function tell(event, say) {
  if (event.type === 'step' && event.step % 10 === 0) {
    say(`step ${event.step}: loss ${event.loss.toFixed(4)}, ${event.seconds.toFixed(2)} s`);
  }
  if (event.type === 'validation') say(`after ${event.step} steps: ${JSON.stringify(dice(event.mean))}`);
}

/** Two crops as a data set that validates on what it trains on. */
async function dataSet(context) {
  const folder = join(context.work, 'data');
  const names = Object.keys(PLACES);
  if (existsSync(join(folder, 'dataset.json'))) return folder;
  const [phantom] = await testPhantoms(context, 1);
  const [ct, labels] = await Promise.all([phantom.image, phantom.label].map((file) => readVolume(file)));
  for (const part of ['imagesTr', 'labelsTr']) mkdirSync(join(folder, part), { recursive: true });
  for (const name of names) {
    await writeVolume(join(folder, 'imagesTr', `${name}_0000.nii.gz`), patch(ct, PLACES[name], Int16Array));
    await writeVolume(join(folder, 'labelsTr', `${name}.nii.gz`), labelPatch(labels, PLACES[name]));
  }
  const description = { channel_names: { 0: 'CT' }, labels: { background: 0, artery: 1, vein: 2 } };
  const cases = { numTraining: names.length, file_ending: '.nii.gz', cases: {} };
  writeFileSync(join(folder, 'splits_final.json'), JSON.stringify([{ train: names, val: names }]));
  writeFileSync(join(folder, 'dataset.json'), JSON.stringify({ ...description, ...cases }));
  return folder;
}

/** A cube of 96³ voxels of 1.5 mm of a volume. */
function patch(volume, place, Kind) {
  const size = volume.spacingMm.map((mm) => Math.round((EDGE * SPACING_MM) / mm));
  const low = size.map((n, axis) => Math.round((volume.shape[axis] - n) * place));
  const part = crop(volume, low, size);
  const shape = [EDGE, EDGE, EDGE];
  const values = resize(part.data, size, shape);
  const data = Kind === Float32Array ? values : Kind.from(values, Math.round);
  const exact = size.map((_, axis) => SPACING_MM / part.spacingMm[axis]);
  return { data, shape, spacingMm: [SPACING_MM, SPACING_MM, SPACING_MM], affine: scaled(part.affine, exact) };
}

/** The label of which a voxel of the cube holds at least half. */
function labelPatch(labels, place) {
  const [artery, vein] = [1, 2].map((label) => {
    const share = Float32Array.from(labels.data, (value) => (value === label ? 1 : 0));
    return patch({ ...labels, data: share }, place, Float32Array);
  });
  const data = Uint8Array.from(artery.data, (share, i) => (share >= 0.5 ? 1 : vein.data[i] >= 0.5 ? 2 : 0));
  return { ...artery, data };
}
