import test from 'ava';
import { type TrainConfig, tinyTraining } from '../dist/config/train.js';
import { type AdaptState, adapt, observe, startAdapting } from '../dist/train/adapt.js';

const teacher: TrainConfig = { ...tinyTraining, step: { ...tinyTraining.step, unannotated: 'teacher' } };
const nothing = { terms: {}, samples: [], teacher: null };

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
  const sure: AdaptState = { ...state, confidence: [0.96, 0.9, 0.84] };
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

test('a teacher that never gives a class, or is not sure of one, is hardly believed', (t) => {
  const weight = (confidence: AdaptState['confidence']) =>
    adapt(teacher, { ...startAdapting(1), confidence }, 800, 900).teacher?.weight;
  t.is(weight([1 / 3, 1 / 3, 1 / 3]), 0.01);
  t.is(weight([0.99, 0.95, 1 / 3]), 0.01);
  t.is(weight([0.99, 0.95, 0.625]), 0.5);
  t.is(weight([0.99, 0.95, 0.75]), 1);
});

test('confidence is a running mean of the classes that were seen', (t) => {
  const state = startAdapting(1);
  const verdicts = [
    { voxels: 10, confidence: 9 },
    { voxels: 0, confidence: 0 },
    { voxels: 4, confidence: 2 },
  ];
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
      teacher: { verdicts: [1, 2, 3].map((voxels) => ({ voxels, confidence: voxels * loss })) },
    };
    state = observe(config, state, adapt(config, state, step, 50), seen);
    t.deepEqual(JSON.parse(JSON.stringify(state)), state);
  }
});
