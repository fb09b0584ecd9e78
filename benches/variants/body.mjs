// A body to put things round: closed where the field of view cut it, in clean air, with its windpipe.
import { components } from './distance.mjs';
import { AIR, AIR_HU, BODY, copied, grown, lungBoxMm, norm, randomOf, SIDES, WHAT } from './study.mjs';

const FAT_HU = -100;
const SKIN_HU = 10;
/** How far a cut side bulges at most. */
const BULGE_MM = 25;

/** The study with room round it, its table and clothes gone, and the sides closed that the field of view had cut. */
export function bared(study, room) {
  const wide = copied(grown(study, room));
  clean(wide);
  closeSides(wide, study);
  return wide;
}

/** Air where there is neither body nor skin. */
function clean({ scan: { data, shape }, marks }) {
  const [nz, ny, nx] = shape;
  const random = randomOf(7);
  const what = marks.data;
  for (let row = 0; row < nz * ny; row++) {
    const [first, last] = [row % ny === 0, row % ny === ny - 1];
    for (let x = 0, at = row * nx; x < nx; x++, at++) {
      if ((what[at] & WHAT) !== AIR) continue;
      // At the skin itself a voxel is part body; a padding value it is not.
      const skin =
        data[at] > AIR_HU &&
        ((x > 0 && (what[at - 1] & WHAT) !== AIR) ||
          (x + 1 < nx && (what[at + 1] & WHAT) !== AIR) ||
          (!first && (what[at - nx] & WHAT) !== AIR) ||
          (!last && (what[at + nx] & WHAT) !== AIR));
      if (!skin) data[at] = AIR_HU + 9 * random.normal();
    }
  }
}

/** Bulges of fat and skin where the body ran out of the old field of view. */
function closeSides({ scan, marks, offset }, old) {
  const start = (old.offset ?? [0, 0, 0]).map((at, axis) => at - offset[axis]);
  const end = start.map((at, axis) => at + old.scan.shape[axis]);
  const [, ny, nx] = scan.shape;
  for (let z = start[0]; z < end[0]; z++) {
    for (const [axis, step, face] of [
      [2, -1, start[2]],
      [2, 1, end[2] - 1],
      [1, -1, start[1]],
      [1, 1, end[1] - 1],
    ]) {
      const along = 3 - axis;
      const index = (a, b) => (axis === 2 ? (z * ny + b) * nx + a : (z * ny + a) * nx + b);
      const inside = (b) => b < end[along] && (marks.data[index(face, b)] & WHAT) !== AIR;
      for (let from = start[along]; from < end[along]; from++) {
        if (!inside(from)) continue;
        let to = from;
        while (inside(to)) to += 1;
        bulge({ scan, marks }, { from, to, face, step, axis, along, index });
        from = to;
      }
    }
  }
}

function bulge({ scan, marks }, { from, to, face, step, axis, along, index }) {
  const widthMm = (to - from) * scan.spacingMm[along];
  const heightMm = Math.min(BULGE_MM, widthMm / 4);
  for (let b = from; b < to; b++) {
    const place = (2 * (b + 0.5 - from)) / (to - from) - 1;
    const lengthMm = heightMm * (1 - place * place);
    for (let k = 1; k <= Math.floor(lengthMm / scan.spacingMm[axis]); k++) {
      const a = face + step * k;
      if (a < 0 || a >= scan.shape[axis]) break;
      const at = index(a, b);
      scan.data[at] = lengthMm - k * scan.spacingMm[axis] < 2 ? SKIN_HU : FAT_HU;
      marks.data[at] = BODY;
    }
  }
}

/** First and last place of the body in mm along x and y, on the slices from `fromShare` to `toShare`. */
export function trunkMm({ marks }, fromShare = 0, toShare = 1) {
  const [nz, ny, nx] = marks.shape;
  const [, dy, dx] = marks.spacingMm;
  let [left, right, back, front] = [nx, -1, ny, -1];
  for (let z = Math.floor(fromShare * nz); z < Math.ceil(toShare * nz); z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0, at = (z * ny + y) * nx; x < nx; x++, at++) {
        if ((marks.data[at] & WHAT) === AIR) continue;
        left = Math.min(left, x);
        right = Math.max(right, x);
        back = Math.min(back, y);
        front = Math.max(front, y);
      }
    }
  }
  return {
    left: left * dx,
    right: (right + 1) * dx,
    back: back * dy,
    front: (front + 1) * dy,
    middle: ((left + right + 1) * dx) / 2,
  };
}

/** The windpipe from the highest slice down: `{ z, xMm, yMm, radiusMm }` a slice; `null` where it is not at the top. */
export function windpipe(study) {
  const { scan } = study;
  const box = lungBoxMm(study);
  if (!box) return null;
  const middle = (box.low[2] + box.high[2]) / 2;
  const found = [];
  for (let z = scan.shape[0] - 1; z >= 0; z--) {
    const before = found.at(-1);
    const near = before ? { xMm: before.xMm, yMm: before.yMm, mostMm: 8 } : { xMm: middle, yMm: null, mostMm: 35 };
    const lumen = lumenIn(study, z, near);
    if (!lumen) {
      if (before || (scan.shape[0] - z) * scan.spacingMm[0] > 30) break;
      continue;
    }
    found.push({ z, ...lumen });
  }
  return found.length * scan.spacingMm[0] >= 15 ? found : null;
}

/** The round piece of air outside the lungs that lies nearest to a place, in one slice. */
function lumenIn({ scan, marks }, z, { xMm, yMm, mostMm }) {
  const [, ny, nx] = scan.shape;
  const [, dy, dx] = scan.spacingMm;
  const start = z * ny * nx;
  const air = (i) =>
    scan.data[start + i] < -700 && (marks.data[start + i] & SIDES) === 0 && (marks.data[start + i] & WHAT) !== AIR;
  const { labels, sizes } = components(air, [1, ny, nx]);
  const sums = sizes.map(() => [0, 0]);
  labels.forEach((label, i) => {
    if (label === 0) return;
    sums[label][0] += (i % nx) + 0.5;
    sums[label][1] += Math.floor(i / nx) + 0.5;
  });
  let best = null;
  for (let label = 1; label < sizes.length; label++) {
    const areaMm2 = sizes[label] * dy * dx;
    if (areaMm2 < 40 || areaMm2 > 700) continue;
    const place = { xMm: (sums[label][0] / sizes[label]) * dx, yMm: (sums[label][1] / sizes[label]) * dy };
    const offMm = norm(place.xMm - xMm, yMm === null ? 0 : place.yMm - yMm);
    if (offMm > mostMm || (best && offMm >= best.offMm)) continue;
    best = { ...place, radiusMm: Math.sqrt(areaMm2 / Math.PI), offMm };
  }
  return best && { xMm: best.xMm, yMm: best.yMm, radiusMm: best.radiusMm };
}
