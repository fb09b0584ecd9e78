// The baseline: two HU thresholds, vessel above the first, artery and vein told apart by the second. It is given every
// advantage: thresholds, the order of the two classes and the place to look at are the best for the very cases it is
// scored on.

const LOW_HU = -1024;
const BIN_HU = 8;
const BINS = 280;
/** Lowest threshold tried, as a bin. */
const FIRST = 20;
/** Bins between the thresholds that are tried. */
const STEP = 2;

/** Counts of HU by place (in the lungs, elsewhere) and label (0, 1, 2): what the baseline needs to know of a case. */
export function histograms(ct, labels, lungs) {
  const empty = () => [0, 1, 2].map(() => new Array(BINS).fill(0));
  const counts = { lungs: empty(), elsewhere: empty() };
  for (let i = 0; i < ct.data.length; i++) {
    const bin = Math.min(BINS - 1, Math.max(0, Math.floor((ct.data[i] - LOW_HU) / BIN_HU)));
    const place = lungs.data[i] ? counts.lungs : counts.elsewhere;
    place[labels.data[i]][bin] += 1;
  }
  return counts;
}

/** The best baseline over some cases, scored in `region` (`whole` or `lungs`): thresholds and mean scores. */
export function bestThresholds(cases, region) {
  const looks = region === 'lungs' ? ['lungs'] : ['lungs', 'everywhere'];
  let best = { dice: -1 };
  for (const look of looks) {
    const sums = cases.map((counts) => cumulated(counts, region, look));
    for (let low = FIRST; low < BINS - STEP; low += STEP) {
      for (let high = low; high < BINS; high += STEP) {
        for (const brighter of ['artery', 'vein']) {
          const scores = sums.map((one) => score(one, low, high, brighter));
          const artery = average(scores, 'artery');
          const vein = average(scores, 'vein');
          if (artery + vein <= 2 * best.dice) continue;
          best = { dice: (artery + vein) / 2, artery, vein, swapRate: average(scores, 'swapRate'), look, brighter };
          best.thresholdsHu = [low, high].map((bin) => LOW_HU + bin * BIN_HU);
        }
      }
    }
  }
  return best;
}

/** By label: voxels looked at above each bin, and all voxels of the region. */
function cumulated(counts, region, look) {
  return [0, 1, 2].map((label) => {
    const inside = counts.lungs[label];
    const outside = counts.elsewhere[label];
    const seen = inside.map((n, bin) => (look === 'lungs' ? n : n + outside[bin]));
    const above = new Array(BINS + 1).fill(0);
    for (let bin = BINS - 1; bin >= 0; bin--) above[bin] = above[bin + 1] + seen[bin];
    const total = (list) => list.reduce((sum, n) => sum + n, 0);
    return { above, total: total(inside) + (region === 'lungs' ? 0 : total(outside)) };
  });
}

function score(sums, low, high, brighter) {
  const bright = sums.map(({ above }) => above[high]);
  const dim = sums.map(({ above }) => above[low] - above[high]);
  const [asArtery, asVein] = brighter === 'artery' ? [bright, dim] : [dim, bright];
  const dice = (found, label) => (2 * found[label]) / (found[0] + found[1] + found[2] + sums[label].total);
  const swapped = asVein[1] + asArtery[2];
  const kept = asArtery[1] + asVein[2];
  return { artery: dice(asArtery, 1), vein: dice(asVein, 2), swapRate: swapped / Math.max(1, swapped + kept) };
}

function average(scores, key) {
  return scores.reduce((sum, one) => sum + one[key], 0) / scores.length;
}
