// The best Dice that a plan's grid allows: labels carried onto it and back.
import { newShape, resize } from './resample.mjs';

/**
 * Dice of one label after the way to `spacingMm` and back to its own grid, everywhere and inside the lungs.
 * Hard: made a label again on the plan's grid; soft: its share is carried back and made a label there.
 */
export function ceiling(labels, lungs, label, spacingMm) {
  const { shape } = labels;
  const coarse = newShape(shape, labels.spacingMm, spacingMm);
  const truth = Uint8Array.from(labels.data, (value) => (value === label ? 1 : 0));
  const share = resize(truth, shape, coarse);
  const soft = resize(share, coarse, shape);
  const hard = resize(Uint8Array.from(share, atLeastHalf), coarse, shape);
  return { soft: regions(soft, truth, lungs.data), hard: regions(hard, truth, lungs.data) };
}

function atLeastHalf(share) {
  return share >= 0.5 ? 1 : 0;
}

function regions(share, truth, lungs) {
  const counts = { whole: [0, 0], lungs: [0, 0] };
  for (let i = 0; i < truth.length; i++) {
    const found = atLeastHalf(share[i]);
    if (!found && !truth[i]) continue;
    for (const count of lungs[i] ? [counts.whole, counts.lungs] : [counts.whole]) {
      count[0] += found & truth[i];
      count[1] += found + truth[i];
    }
  }
  const dice = ([both, sum]) => (sum > 0 ? (2 * both) / sum : null);
  return { whole: dice(counts.whole), lungs: dice(counts.lungs) };
}
