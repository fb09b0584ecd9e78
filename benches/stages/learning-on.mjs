// Input: a model of plain phantoms (--init MODEL) and hospital phantoms of seeds that it never saw, annotated in full, in
// one lung, or not at all. Expected: the checks of few-labels. Peer: the same network taught as published code teaches
// it. Resumable as few-labels.
import { resolve } from 'node:path';
import { testPhantoms } from '../phantoms.mjs';
import { raced, scored } from './few-labels.mjs';

export const about =
  'the ways of few-labels for a model that learns on from other scans: --init MODEL ' +
  '(--kinds ARM,ARM, --seeds N, --steps N, --cases N, --count test phantoms)';

const STEPS = 400;
const CASES = 6;
const TEST_PHANTOMS = 8;
const FIRST_TEST_SEED = 910_001;
const config = {
  schedule: { learningRate: 1e-3, warmupSteps: 50 },
  // The model agrees with the reference from the first step on, though less than a finished one.
  adapt: { teacher: { trust: [0.5, 0.7] } },
};

export async function run(context) {
  if (!context.init) throw new Error('Which model learns on? Expected --init MODEL.');
  const init = resolve(context.init);
  const settings = {
    steps: context.steps ?? STEPS,
    cases: context.cases ?? CASES,
    testPhantoms: context.count ?? TEST_PHANTOMS,
  };
  const race = { name: 'learning-on', model: init, settings, style: 'hospital', testSeed: FIRST_TEST_SEED };
  const before = await scored(
    init,
    await testPhantoms(context, settings.testPhantoms, race.testSeed, race.style),
    context,
  );
  const result = await raced({ ...race, config: { ...config, init } }, context);
  return { before, ...result };
}
