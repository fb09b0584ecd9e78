// What lies beside or on the patient: arms, clothes and blankets, and a layer of fat.
import { bared, trunkMm } from './body.mjs';
import { distanceMm } from './distance.mjs';
import { AIR, BODY, clamped, IGNORED, norm, randomOf, sizeMm, smoothNoise, visit, visitAll, WHAT } from './study.mjs';

const ARM_MM = 42;
const ARM_ROOM = { left: 105, right: 105 };
/** Slices that count for the trunk's width: below the shoulders. */
const BELOW_SHOULDERS = 0.7;

const DOWN = { gap: 14, up: false };
const TOUCHING = { gap: -3, up: false };
const UP = { up: true };

export const variants = [
  { name: 'down, apart', left: DOWN, right: DOWN },
  { name: 'down, touching', left: TOUCHING, right: TOUCHING },
  { name: 'up', left: UP, right: UP },
  { name: 'one up, one down', left: UP, right: DOWN },
]
  .map(({ name, left, right }) => ({ kind: 'arms', name, make: (study) => withArms(study, [left, right]) }))
  .concat(
    [
      { name: 'shirt', sheets: [[3, 6]], hu: [-600, -350], all: true },
      {
        name: 'thick clothes',
        sheets: [
          [3, 5],
          [12, 9],
        ],
        hu: [-450, -200],
        all: true,
      },
      { name: 'blanket', sheets: [[14, 22]], hu: [-500, -200], all: false },
      {
        name: 'two blankets',
        sheets: [
          [8, 14],
          [24, 20],
        ],
        hu: [-600, -200],
        all: false,
      },
    ].map(({ name, ...how }) => ({ kind: 'clothes', name, make: (study, random) => dressed(study, how, random) })),
    [50, 80].map((mm) => ({ kind: 'obese', name: `${mm} mm of fat`, make: (study) => fattened(study, mm) })),
  )
  .map((one, i) => ({ ...one, compare: true, whole: true, large: i % 2 === 0 }));

function withArms(study, arms) {
  const wide = bared(study, ARM_ROOM);
  const trunk = trunkMm(wide, 0, BELOW_SHOULDERS);
  const shoulders = trunkMm(wide, 0.8, 1);
  const [tall] = sizeMm(wide.scan);
  arms.forEach((arm, index) => {
    const side = index === 0 ? -1 : 1;
    const edge = index === 0 ? trunk.left : trunk.right;
    const shoulder = index === 0 ? shoulders.left : shoulders.right;
    const y = trunk.back + 0.45 * (trunk.front - trunk.back);
    const x = edge + side * (ARM_MM + arm.gap);
    const ends = arm.up
      ? [
          [shoulder - side * 55, y, 0.72 * tall],
          [shoulder + side * 45, y + 15, tall + 60],
        ]
      : [
          [x, y - 10, -60],
          [x, y - 10, 0.86 * tall],
        ];
    limb(wide, ends, ARM_MM, IGNORED);
  });
  return wide;
}

/** A limb of skin, fat, muscle and bone from place to place, `[x, y, z]` mm, where there is air. */
export function limb({ scan, marks }, [from, to], radiusMm, mark, boneMm = 11) {
  const axis = to.map((value, i) => value - from[i]);
  const length2 = axis.reduce((sum, value) => sum + value * value, 0);
  const random = randomOf(23);
  const low = [2, 1, 0].map((i) => Math.min(from[i], to[i]) - radiusMm);
  const high = [2, 1, 0].map((i) => Math.max(from[i], to[i]) + radiusMm);
  visit(scan, low, high, (at, x, y, z) => {
    if ((marks.data[at] & WHAT) !== AIR) return;
    const v = [x - from[0], y - from[1], z - from[2]];
    const t = Math.max(0, Math.min(1, (v[0] * axis[0] + v[1] * axis[1] + v[2] * axis[2]) / length2));
    const off = norm(v[0] - t * axis[0], v[1] - t * axis[1], v[2] - t * axis[2]);
    if (off > radiusMm) return;
    const depth = radiusMm - off;
    const hu = off < boneMm - 4 ? 150 : off < boneMm ? 900 : depth < 2 ? 10 : depth < 9 ? -100 : 55;
    scan.data[at] = clamped(hu + 10 * random.normal());
    marks.data[at] = mark;
  });
}

/** Thin sheets with folds round the body, or over it, with air below them. */
function dressed(study, { sheets, hu, all }, random) {
  const wide = bared(study, { left: 50, right: 50, front: 50, back: all ? 30 : 5 });
  const { scan, marks } = wide;
  const offOf = besideMm(wide);
  const highest = Math.max(...sheets.map(([base, height]) => base + 2.1 * height + 2));
  const thick = Math.max(2, scan.spacingMm[1]);
  const { back } = trunkMm(wide);
  const [folds, wide1] = [smoothNoise(random.unit() * 1e9, 35), smoothNoise(random.unit() * 1e9, 110)];
  visitAll(scan, (at, x, y, z) => {
    if ((marks.data[at] & WHAT) !== AIR || (!all && y < back + 12)) return;
    const off = offOf(x, y, z);
    if (off > highest) return;
    for (const [index, [base, height]] of sheets.entries()) {
      const lift = Math.max(0.5, base + height * (0.7 * folds(x, y, z + 400 * index) + 0.6 * wide1(x, y, z)));
      if (Math.abs(off - lift) < thick / 2) scan.data[at] = clamped(random.within(...hu));
    }
  });
  return wide;
}

/** A layer of fat round the body with skin on it. */
function fattened(study, mm) {
  const room = mm + 15;
  const wide = bared(study, { left: room, right: room, front: room, back: room });
  const { scan, marks } = wide;
  const offOf = besideMm(wide);
  const random = randomOf(31);
  const bumps = smoothNoise(77, 90);
  visitAll(scan, (at, x, y, z) => {
    if ((marks.data[at] & WHAT) !== AIR) return;
    const off = offOf(x, y, z);
    if (off > 1.16 * mm) return;
    const edge = mm * (1 + 0.1 * bumps(x, y, z));
    if (off > edge) return;
    scan.data[at] = clamped((edge - off < 2 ? 10 : -100) + 9 * random.normal());
    marks.data[at] = BODY;
  });
  return wide;
}

/** How far a place in a slice lies beside the body, from distances on a grid of about 1.5 mm. */
function besideMm({ marks }) {
  const steps = marks.spacingMm.map((mm) => Math.max(1, Math.round(1.5 / mm)));
  const shape = marks.shape.map((size, axis) => Math.ceil(size / steps[axis]));
  const spacingMm = marks.spacingMm.map((mm, axis) => mm * steps[axis]);
  const place = (i, axis) => Math.min(marks.shape[axis] - 1, i * steps[axis] + (steps[axis] >> 1));
  const body = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let z = 0, at = 0; z < shape[0]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      const row = (place(z, 0) * marks.shape[1] + place(y, 1)) * marks.shape[2];
      for (let x = 0; x < shape[2]; x++, at++) body[at] = (marks.data[row + place(x, 2)] & WHAT) === AIR ? 0 : 1;
    }
  }
  const off = distanceMm((i) => body[i] === 1, shape, spacingMm, 2);
  const [dz, dy, dx] = spacingMm;
  return (x, y, z) => off[(Math.floor(z / dz) * shape[1] + Math.floor(y / dy)) * shape[2] + Math.floor(x / dx)];
}
