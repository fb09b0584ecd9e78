import test from 'ava';
import { learningRate } from '../dist/train/schedule.js';
import { withoutRise } from '../dist/train/validation.js';

test('rates rise, and fall by a cosine or a power', (t) => {
  const rise = { learningRate: 2, warmupSteps: 4 };
  const cosine = { kind: 'cosine', ...rise, finalShare: 0.1 } as const;
  const poly = { kind: 'poly', ...rise, exponent: 0.9 } as const;
  const rates = (schedule: typeof cosine | typeof poly) =>
    [0, 3, 4, 9, 13, 14].map((step) => learningRate(schedule, step, 14).toFixed(4));
  t.deepEqual(rates(cosine), ['0.5000', '2.0000', '2.0000', '0.9437', '0.2000', '0.2000']);
  // 2 · 0.5^0.9 and 2 · 0.1^0.9.
  t.deepEqual(rates(poly), ['0.5000', '2.0000', '2.0000', '1.0718', '0.2518', '0.0000']);
  t.is(learningRate(poly, 20, Number.POSITIVE_INFINITY), 2);
});

test('validations without a rise are counted from the best one', (t) => {
  t.deepEqual([[], [0.3], [0.3, 0.3], [0.3, 0.2, 0.4], [0.3, 0.5, 0.4, 0.5]].map(withoutRise), [0, 0, 1, 0, 2]);
});
