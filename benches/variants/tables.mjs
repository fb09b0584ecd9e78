// Scanner tables: five shapes of thin shells with foam in them.
import { bared, trunkMm } from './body.mjs';
import { AIR, AIR_HU, norm, randomOf, sizeMm, WHAT } from './study.mjs';

const CORES_HU = [-850, -900, -930, -960, -980];
export const TABLE_ROOM = { back: 95, left: 30, right: 30 };
/** Samples a pixel and axis: shells are thinner than pixels. */
const SAMPLES = 3;

/**
 * Each shape gives, for a place `x` mm beside the body's middle and `d` mm below its lowest point, how deep in which
 * part it lies: `{ depth, shellMm, shellHu }`.
 */
const SHAPES = {
  'flat board': (x, d) => ({ depth: box(x, d - 3, 210, 45), shellMm: 3, shellHu: 150 }),
  'curved cradle': (x, d) => {
    const radius = norm(x, 250 + d) - 250;
    return { depth: Math.min(radius - 3, 31 - radius, 215 - Math.abs(x)), shellMm: 2, shellHu: 120 };
  },
  'mattress on board': (x, d) =>
    d < 47
      ? { depth: box(x, d - 2, 200, 45), shellMm: 0.7, shellHu: -150 }
      : { depth: box(x, d - 52, 215, 38), shellMm: 4, shellHu: 200 },
  'narrow board with rails': (x, d) => {
    const board = box(x, d - 3, 140, 32);
    const rail = 17 - norm(Math.abs(x) - 205, d + 25);
    return { depth: Math.max(board, rail), shellMm: 3, shellHu: 180 };
  },
  // Its upper face follows the skin, see `touching`.
  'board at the skin': (x, d) => ({ depth: box(x, d, 210, 45), shellMm: 2.5, shellHu: 110 }),
};
export const SHAPE_NAMES = Object.keys(SHAPES);

export const variants = SHAPE_NAMES.flatMap((shape, i) =>
  CORES_HU.map((coreHu, k) => ({
    kind: 'table',
    name: `${shape}, ${coreHu}`,
    large: i === k,
    compare: true,
    whole: true,
    make: (study) => tabled(bared(study, TABLE_ROOM), shape, coreHu),
  })),
);

/** Puts a table under the body: on the low side of y. */
export function tabled(study, shape, coreHu, place = trunkMm(study)) {
  const { scan, marks } = study;
  const [nz, ny, nx] = scan.shape;
  const slice = section(scan, place, SHAPES[shape], coreHu);
  const random = randomOf(11);
  for (let z = 0; z < nz; z++) {
    for (let i = 0, at = z * ny * nx; i < ny * nx; i++, at++) {
      if (slice[i] === AIR_HU || (marks.data[at] & WHAT) !== AIR) continue;
      const hu = slice[i] + 8 * random.normal();
      // A voxel that the skin is part of stays as it is.
      if (hu > scan.data[at]) scan.data[at] = hu;
    }
    if (shape === 'board at the skin') cushion(study, z, place);
  }
  return study;
}

/** Mean HU of one slice of the table. */
function section({ shape, spacingMm }, { middle, back }, shapeOf, coreHu) {
  const [, ny, nx] = shape;
  const [, dy, dx] = spacingMm;
  const hu = new Float32Array(ny * nx);
  for (let y = 0; y < ny; y++) {
    for (let x = 0; x < nx; x++) {
      let sum = 0;
      for (let k = 0; k < SAMPLES * SAMPLES; k++) {
        const xMm = (x + ((k % SAMPLES) + 0.5) / SAMPLES) * dx - middle;
        const dMm = back - (y + (Math.floor(k / SAMPLES) + 0.5) / SAMPLES) * dy;
        const { depth, shellMm, shellHu } = shapeOf(xMm, dMm);
        sum += depth <= 0 ? AIR_HU : depth < shellMm ? shellHu : coreHu;
      }
      hu[y * nx + x] = sum / (SAMPLES * SAMPLES);
    }
  }
  return hu;
}

/** The board's shell, drawn up to the skin where that is near: contact over a hand's breadth or more. */
function cushion({ scan, marks }, z, { back, middle }) {
  const [, ny, nx] = scan.shape;
  const [, dy, dx] = scan.spacingMm;
  const base = Math.floor(back / dy);
  for (let x = 0; x < nx; x++) {
    if (Math.abs((x + 0.5) * dx - middle) > 210) continue;
    let y = base;
    while (y < ny && (y - base) * dy < 10 && (marks.data[(z * ny + y) * nx + x] & WHAT) === AIR) y += 1;
    if (y >= ny || (y - base) * dy >= 10) continue;
    for (let k = Math.max(0, base - 1); k < y; k++) {
      const at = (z * ny + k) * nx + x;
      if ((marks.data[at] & WHAT) === AIR) scan.data[at] = Math.max(scan.data[at], 110);
    }
  }
}

/** Depth in a box from `d` = 0 downwards. */
function box(x, d, halfWidth, thickness) {
  return Math.min(d, thickness - d, halfWidth - Math.abs(x));
}

/** A table of its own, without a patient. */
export function tableAlone(study, shape, coreHu) {
  const [, height, width] = sizeMm(study.scan);
  return tabled(study, shape, coreHu, { middle: width / 2, back: height / 2 });
}
