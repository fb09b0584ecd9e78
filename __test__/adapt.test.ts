import test from 'ava';
import { type TrainConfig, tinyTraining } from '../dist/config/train.js';
import { type AdaptState, adapt, observe, startAdapting } from '../dist/train/adapt.js';

const teacher: TrainConfig = { ...tinyTraining, step: { ...tinyTraining.step, unannotated: 'teacher' } };
const nothing = { terms: {}, samples: [], teacher: null };
const silent = { voxels: 0, confidence: 0, referenced: 0, predicted: 0, agreed: 0 };
/** Sums by which a teacher has these Dice values. */
const agreement = (...dice: [number, number, number]): AdaptState['agreement'] => ({
  agreed: dice.map((value) => 500 * value) as [number, number, number],
  given: [1000, 1000, 1000],
});

function withPolicies(policies: Partial<TrainConfig['adapt']>, config = tinyTraining): TrainConfig {
  return { ...config, adapt: { ...config.adapt, ...policies } };
}

test('without policies a step is the published one', (t) => {
  const state = startAdapting(3);
  const wanted = adapt(tinyTraining, state, 500, 1000);
  const alike = { cases: [], calibres: [] };
  t.deepEqual(wanted, { lossFactors: {}, teacher: null, sampling: alike, nextSampling: alike });
});

test('the teacher is ramped up, and its thresholds follow its confidence', (t) => {
  const state = startAdapting(1);
  t.is(adapt(teacher, state, 0, 900).teacher, null);
  const sure: AdaptState = { ...state, confidence: [0.96, 0.9, 0.84], agreement: agreement(1, 0.95, 0.9) };
  const weights = (of: AdaptState) =>
    [100, 200, 300, 800].map((step) => adapt(teacher, of, step, 900).teacher?.weight.toFixed(3));
  t.deepEqual(weights(sure), ['0.108', '0.574', '1.000', '1.000']);
  t.deepEqual(adapt(teacher, state, 300, 900).teacher?.thresholds, [0.5, 0.5, 0.5]);
  const [background, artery, vein] = adapt(teacher, sure, 300, 900).teacher?.thresholds ?? [0, 0, 0];
  t.deepEqual(
    [background, artery, vein].map((threshold) => threshold.toFixed(4)),
    ['0.9000', '0.8438', '0.7875'],
  );
});

test('a teacher is believed only as far as it agrees with the reference in every class', (t) => {
  const weight = (agreement: AdaptState['agreement']) =>
    adapt(teacher, { ...startAdapting(1), agreement }, 800, 900).teacher?.weight.toFixed(6);
  t.is(weight(startAdapting(1).agreement), '0.010000');
  t.is(weight(agreement(0.99, 0.95, 0)), '0.010000');
  t.is(weight(agreement(0.99, 0.95, 0.8)), '0.500000');
  t.is(weight(agreement(0.99, 0.95, 0.9)), '1.000000');
  // Nobody annotated veins, and the teacher gave none where somebody could have told.
  t.is(weight({ agreed: [500, 475, 0], given: [1000, 1000, 0] }), '1.000000');
});

test('agreement forgets what lies back', (t) => {
  const state: AdaptState = { ...startAdapting(1), agreement: agreement(1, 1, 0) };
  const verdicts = [silent, silent, { ...silent, referenced: 30, predicted: 20, agreed: 10 }];
  const wanted = adapt(teacher, state, 300, 900);
  const after = observe(teacher, state, wanted, { ...nothing, teacher: { verdicts } });
  t.deepEqual(after.agreement, { agreed: [495, 495, 10], given: [990, 990, 1040] });
});

test('confidence is a running mean of the classes that were seen', (t) => {
  const state = startAdapting(1);
  const verdicts = [{ ...silent, voxels: 10, confidence: 9 }, silent, { ...silent, voxels: 4, confidence: 2 }];
  const wanted = adapt(teacher, state, 300, 900);
  const { confidence } = observe(teacher, state, wanted, { ...nothing, teacher: { verdicts } });
  t.deepEqual(
    confidence.map((sure) => sure.toFixed(5)),
    ['0.33900', '0.33333', '0.33500'],
  );
});

test('losses settle where each counts by its uncertainty', (t) => {
  const config = withPolicies({ uncertainty: { enabled: true, rate: 0.1 } });
  let state = startAdapting(1);
  for (let step = 0; step < 500; step += 1) {
    const wanted = adapt(config, state, step, 500);
    state = observe(config, state, wanted, { ...nothing, terms: { dice: 0.4, bce: 0.1 } });
  }
  // At rest eˢ is the loss itself, so factors are in the ratio 1 / 0.4 to 1 / 0.1.
  const { dice = 0, bce = 0 } = adapt(config, state, 500, 500).lossFactors;
  t.true(Math.abs(bce / dice - 4) < 1e-3);
  t.true(Math.abs((bce + dice) / 2 - 1) < 1e-9);
});

test('what is badly known is drawn more often, one step later, and nothing starves', (t) => {
  const config = withPolicies({ sampling: { enabled: true, gamma: 1, floor: 0.25, momentum: 0 } });
  const state = startAdapting(4);
  const samples = [
    { case: 0, calibre: 0, loss: 0.9 },
    { case: 1, calibre: 2, loss: 0.1 },
    { case: 2, calibre: null, loss: 0.5 },
    { case: 3, calibre: 1, loss: null },
  ];
  const first = adapt(config, state, 0, 10);
  t.deepEqual(first.nextSampling, { cases: [1, 1, 1, 1], calibres: [1, 1, 1] });
  const after = observe(config, state, first, { ...nothing, samples });
  const second = adapt(config, after, 1, 10);
  t.deepEqual(second.sampling, first.nextSampling);
  t.deepEqual(
    second.nextSampling.cases.map((weight) => weight.toFixed(2)),
    ['1.80', '0.25', '1.00', '1.00'],
  );
  t.deepEqual(
    second.nextSampling.calibres.map((weight) => weight.toFixed(2)),
    ['1.80', '1.00', '0.25'],
  );
});

test('what the policies remember survives JSON to the bit', (t) => {
  const config = withPolicies({ uncertainty: { enabled: true, rate: 0.03 } }, teacher);
  let state = startAdapting(2);
  for (let step = 0; step < 50; step += 1) {
    const loss = Math.abs(Math.sin(step)) / 3;
    const seen = {
      terms: { dice: loss, bce: loss / 7 },
      samples: [{ case: step % 2, calibre: step % 3, loss }],
      teacher: {
        verdicts: [1, 2, 3].map((voxels) => ({ ...silent, voxels, confidence: voxels * loss, agreed: voxels })),
      },
    };
    state = observe(config, state, adapt(config, state, step, 50), seen);
    t.deepEqual(JSON.parse(JSON.stringify(state)), state);
  }
});
