// What disease does to lungs. Unless a lung is gone, the truth keeps it whole.
import { distanceMm } from './distance.mjs';
import {
  AIR,
  AIR_HU,
  BODY,
  boxOf,
  clamped,
  copied,
  LEFT,
  LUNG,
  lungBoxMm,
  norm,
  quantile,
  RIGHT,
  SIDES,
  smoothNoise,
  visit,
  WHAT,
} from './study.mjs';

/** How far beyond its mask a lung may reach. */
const RIM_VOXELS = 2;
const SIDE_NAMES = [
  [LEFT, 'left'],
  [RIGHT, 'right'],
];

const EACH_SIDE = [
  { kind: 'lung removed', name: '', make: removed },
  { kind: 'effusion', name: '15 %', make: (study, random, side) => effusion(study, random, side, 0.15) },
  { kind: 'effusion', name: '35 %', make: (study, random, side) => effusion(study, random, side, 0.35) },
  { kind: 'consolidation', name: 'lower lobe', make: consolidation },
  { kind: 'pneumothorax', name: '', make: pneumothorax },
  { kind: 'bowel gas', name: 'raised diaphragm', make: raised },
].flatMap((one) =>
  SIDE_NAMES.map(([side, word], i) => ({
    ...one,
    name: `${word} ${one.name}`.trim(),
    // One side each where a scan is large.
    large: one.name !== '15 %' && i === one.kind.length % 2,
    sides: one.kind === 'lung removed' ? SIDES : side,
    make: (study, random) => one.make(study, random, side),
  })),
);

export const variants = [
  ...EACH_SIDE,
  { kind: 'tumour', name: 'at the chest wall', sides: RIGHT, make: (study, random) => tumour(study, random, 'wall') },
  { kind: 'tumour', name: 'at the hilum', sides: RIGHT, make: (study, random) => tumour(study, random, 'hilum') },
  { kind: 'emphysema', name: 'patches', make: emphysema },
  { kind: 'emphysema', name: 'bullae', make: bullae },
  { kind: 'hernia', name: 'gas behind the heart', sides: SIDES, make: hernia },
]
  // A network may see other vessels beside what is ill.
  .map((one) => ({ large: true, compare: false, ...one }));

/** Voxels of one lung, calling `each(index, x, y, z)`. */
function inLung({ scan, marks }, side, each) {
  const box = boxOf(marks, (mark) => (mark & side) !== 0);
  if (!box) return;
  const mm = (corner) => corner.map((at, axis) => at * scan.spacingMm[axis]);
  visit(scan, mm(box.low), mm(box.high), (at, x, y, z) => {
    if (marks.data[at] & side) each(at, x, y, z);
  });
}

/** Level of `order(x, y, z)` below which this share of the lung lies. */
function level(study, side, order, share) {
  const values = [];
  let skip = 0;
  inLung(study, side, (_, x, y, z) => {
    if (skip++ % 7 === 0) values.push(order(x, y, z));
  });
  return quantile(values, share);
}

/** Puts tissue into a voxel of a lung; bronchi that were there are no more. */
function solid({ scan, marks }, at, hu, random) {
  scan.data[at] = clamped(hu + 10 * random.normal());
  marks.data[at] = (marks.data[at] & SIDES) | LUNG;
}

/** One lung gone, fluid in its place. */
function removed(study, random, side) {
  const result = copied(study);
  withRim(study, side, (at) => {
    result.scan.data[at] = clamped(20 + 10 * random.normal());
    result.marks.data[at] = BODY;
  });
  return result;
}

/** Voxels of one lung and those at its edge that are partly lung, so that nothing foamy stays when it goes. */
function withRim({ scan, marks }, side, each) {
  const [, ny, nx] = scan.shape;
  const steps = [1, -1, nx, -nx, ny * nx, -ny * nx];
  const seen = new Uint8Array(marks.data.length);
  let edge = [];
  inLung({ scan, marks }, side, (at, x, y, z) => {
    each(at, x, y, z);
    seen[at] = 1;
    if (steps.some((step) => (marks.data[at + step] & side) === 0)) edge.push(at);
  });
  const [dz, dy, dx] = scan.spacingMm;
  for (let round = 0; round < RIM_VOXELS; round++) {
    const next = [];
    for (const step of steps) {
      for (const from of edge) {
        const at = from + step;
        const hu = scan.data[at];
        if (seen[at] || marks.data[at] !== BODY || hu > -150 || hu < -900) continue;
        seen[at] = 1;
        next.push(at);
        each(
          at,
          ((at % nx) + 0.5) * dx,
          ((Math.floor(at / nx) % ny) + 0.5) * dy,
          (Math.floor(at / (ny * nx)) + 0.5) * dz,
        );
      }
    }
    edge = next;
  }
}

/** Fluid in the part of one lung that lies lowest on the table, higher up at the chest wall. */
function effusion(study, random, side, share) {
  const result = copied(study);
  const box = lungBoxMm(study, side);
  const outer = (x) => Math.abs(x - (side === LEFT ? box.high[2] : box.low[2]));
  const order = (x, y, z) => y + 0.25 * (z - box.low[0]) - 0.1 * outer(x);
  const top = level(study, side, order, share);
  inLung(study, side, (at, x, y, z) => {
    if (order(x, y, z) < top) solid(result, at, 10, random);
  });
  return result;
}

/** A lower lobe without air; its bronchi keep theirs. */
function consolidation(study, random, side) {
  const result = copied(study);
  const order = (_, y, z) => z + 0.9 * y;
  const top = level(study, side, order, 0.28);
  const patchy = smoothNoise(random.unit() * 1e9, 12);
  inLung(study, side, (at, x, y, z) => {
    if (order(x, y, z) >= top || (study.marks.data[at] & WHAT) !== LUNG || study.scan.data[at] > -100) return;
    result.scan.data[at] = clamped(30 + 20 * patchy(x, y, z) + 8 * random.normal());
  });
  return result;
}

/** Free air between the front wall and the lung, and the lung's edge as a thin line. */
function pneumothorax(study, random, side) {
  const result = copied(study);
  const { scan, marks } = result;
  const { shape, spacingMm } = scan;
  const toWall = distanceMm((i) => (study.marks.data[i] & side) === 0, shape, spacingMm);
  const order = (_x, y, z) => y + 0.4 * z;
  const front = level(study, side, order, 0.45);
  const line = Math.max(1.6, spacingMm[2]);
  inLung(study, side, (at, x, y, z) => {
    // The gap closes towards the back.
    const gap = Math.min(24, 0.5 * (order(x, y, z) - front));
    if (gap <= 0 || toWall[at] > gap + line) return;
    scan.data[at] = clamped(toWall[at] <= gap ? AIR_HU + 6 * random.normal() : Math.max(scan.data[at], -350));
    if (toWall[at] <= gap) marks.data[at] = (marks.data[at] & SIDES) | LUNG;
  });
  return result;
}

/** A ball of 60 mm in one lung, or between lung and heart. */
function tumour(study, random, where) {
  const result = copied(study);
  const box = lungBoxMm(study, RIGHT);
  const at = (axis, share) => box.low[axis] + share * (box.high[axis] - box.low[axis]);
  const [x, y, z] =
    where === 'wall' ? [box.high[2] - 22, at(1, 0.45), at(0, 0.55)] : [box.low[2] + 28, at(1, 0.5), at(0, 0.5)];
  const edge = smoothNoise(random.unit() * 1e9, 14);
  visit(result.scan, [z - 36, y - 36, x - 36], [z + 36, y + 36, x + 36], (i, vx, vy, vz) => {
    if (norm(vx - x, vy - y, vz - z) > 30 + 2 * edge(vx, vy, vz)) return;
    // Chest wall and heart stay as they are.
    if (result.marks.data[i] & SIDES) solid(result, i, 40, random);
  });
  return { ...result, look: { yMm: y, zMm: z } };
}

/** Large patches of destroyed lung. */
function emphysema(study, random) {
  const result = copied(study);
  const patch = smoothNoise(random.unit() * 1e9, 38);
  inLung(study, SIDES, (at, x, y, z) => {
    if ((study.marks.data[at] & WHAT) !== LUNG || study.scan.data[at] > -700 || patch(x, y, z) < 0.05) return;
    result.scan.data[at] = clamped(-975 + 5 * random.normal());
  });
  return result;
}

/** Balloons of air, 40 to 70 mm wide, some of them next to each other. */
function bullae(study, random) {
  const result = copied(study);
  const { scan, marks } = result;
  for (const [side] of SIDE_NAMES) {
    const box = lungBoxMm(study, side);
    if (!box) continue;
    for (const share of [0.82, 0.62, 0.4]) {
      const r = random.within(20, 35);
      const z = box.low[0] + share * (box.high[0] - box.low[0]);
      const y = box.low[1] + random.within(0.35, 0.7) * (box.high[1] - box.low[1]);
      const x = (box.low[2] + box.high[2]) / 2 + random.within(-15, 15);
      visit(scan, [z - r, y - r, x - r], [z + r, y + r, x + r], (at, vx, vy, vz) => {
        if ((marks.data[at] & side) === 0) return;
        const off = norm(vx - x, vy - y, (vz - z) * 1.1) - r;
        if (off > 0) return;
        scan.data[at] = clamped(off > -Math.max(1, 0.7 * scan.spacingMm[2]) ? -820 : AIR_HU + 5 * random.normal());
        marks.data[at] = (marks.data[at] & SIDES) | LUNG;
      });
    }
  }
  return result;
}

/** The lowest quarter of one lung taken by tissue with bowel in it: pockets of gas with walls of 3 mm and more. */
function raised(study, random, side) {
  const result = copied(study);
  const { scan, marks } = result;
  const box = lungBoxMm(study, side);
  const [x0, y0] = [(box.low[2] + box.high[2]) / 2, (box.low[1] + box.high[1]) / 2];
  const order = (x, y, z) => z + 0.004 * ((x - x0) ** 2 + (y - y0) ** 2);
  const top = level(study, side, order, 0.25);
  const taken = new Uint8Array(marks.data.length);
  withRim(study, side, (at, x, y, z) => {
    if (order(x, y, z) >= top) return;
    taken[at] = 1;
    scan.data[at] = clamped(50 + 10 * random.normal());
    marks.data[at] = BODY;
  });
  gasPockets(result, taken, random);
  return { ...result, look: { zMm: box.low[0] + 0.15 * (box.high[0] - box.low[0]) } };
}

/** Balls of gas as large as there is room for in what is taken, apart from each other. */
function gasPockets({ scan }, taken, random) {
  const wall = Math.max(3, 1.3 * Math.max(...scan.spacingMm));
  const box = boxOf({ data: taken, shape: scan.shape }, (value) => value === 1);
  if (!box) return;
  const { depth, places } = depthsIn(box, (at) => taken[at] !== 1, scan);
  for (let count = 0; count < 10; count++) {
    // Not always the deepest place, so that pockets differ in size.
    const wanted = random.within(0.6, 1) * depth.reduce((most, mm) => Math.max(most, mm), 0);
    const start = Math.floor(random.unit() * depth.length);
    let i = start;
    while (depth[i] < wanted) i = (i + 1) % depth.length;
    const r = Math.min(30, depth[i] - wall);
    if (r < Math.max(5, scan.spacingMm[2])) break;
    const [x, y, z] = places(i);
    visit(scan, [z - r, y - r, x - r], [z + r, y + r, x + r], (at, vx, vy, vz) => {
      if (norm(vx - x, vy - y, vz - z) <= r) scan.data[at] = clamped(AIR_HU + 6 * random.normal());
    });
    for (let k = 0; k < depth.length; k++) {
      if (depth[k] === 0) continue;
      const [kx, ky, kz] = places(k);
      depth[k] = Math.max(0, Math.min(depth[k], norm(kx - x, ky - y, kz - z) - r));
    }
  }
}

/** Depths inside a box of the grid and the places in mm that they belong to. */
function depthsIn({ low, high }, holds, { shape, spacingMm }) {
  const size = high.map((end, axis) => end - low[axis]);
  const place = (i) => [
    Math.floor(i / (size[1] * size[2])) + low[0],
    (Math.floor(i / size[2]) % size[1]) + low[1],
    (i % size[2]) + low[2],
  ];
  const depth = distanceMm(
    (i) => {
      const [z, y, x] = place(i);
      return holds((z * shape[1] + y) * shape[2] + x);
    },
    size,
    spacingMm,
  );
  const places = (i) => {
    const [z, y, x] = place(i);
    return [(x + 0.5) * spacingMm[2], (y + 0.5) * spacingMm[1], (z + 0.5) * spacingMm[0]];
  };
  return { depth, places };
}

/** Stomach in the chest: a pouch with gas above fluid, behind the heart and before the spine. */
function hernia(study, random) {
  const result = copied(study);
  const { scan, marks } = result;
  const [left, right] = [lungBoxMm(study, LEFT), lungBoxMm(study, RIGHT)];
  if (!left || !right) return null;
  const x = (left.high[2] + right.low[2]) / 2 - 8;
  const y = left.low[1] + 0.34 * (left.high[1] - left.low[1]);
  const z = left.low[0] + 0.3 * (left.high[0] - left.low[0]);
  visit(scan, [z - 45, y - 32, x - 45], [z + 45, y + 32, x + 45], (at, vx, vy, vz) => {
    const e = norm((vx - x) / 38, (vy - y) / 26, (vz - z) / 38);
    const mark = marks.data[at];
    // Bone, windpipe and air outside stay.
    if (e > 1 || (mark & WHAT) === AIR || scan.data[at] > 200) return;
    const wall = (1 - e) * 30 < Math.max(5, scan.spacingMm[2]);
    scan.data[at] = clamped((wall ? 40 : vy > y - 6 ? AIR_HU : 15) + 8 * random.normal());
    marks.data[at] = BODY;
  });
  return { ...result, look: { yMm: y, zMm: z } };
}
