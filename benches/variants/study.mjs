// A scan with its truth, and what variants are made with: places in mm, masks, distances, seeded random numbers.
//
// A study is `{ name, scan, marks, knows, whole }` in the canonical frame: axes `[z, y, x]` run to the head, the front
// and the patient's right. `marks` are the truth, a byte a voxel: what it is (0 to 7), to which lung it belongs,
// whether it is wall.
import { allOrientations, reoriented } from '../orientations.mjs';

/** What a voxel is: the low three bits. IGNORED is scored neither way. */
export const AIR = 0;
export const BODY = 1;
export const LUNG = 3;
export const LUMEN = 5;
export const CENTRELINE = 6;
export const IGNORED = 7;
/** To which lung a voxel belongs, bronchi and vessels in it too, and whether a wall or lumen of an airway is there. */
export const LEFT = 16;
export const RIGHT = 32;
export const WALL = 64;
export const SIDES = LEFT | RIGHT;
export const WHAT = 7;
export const AIR_HU = -1000;

/** The volume in the canonical frame, by exact moves. */
export function canonical(volume) {
  const rows = [2, 1, 0].map((world) => [0, 1, 2].map((axis) => volume.affine[4 * world + 2 - axis]));
  const best = (order) => order.reduce((sum, axis, world) => sum + Math.abs(rows[world][axis]), 0);
  const orders = allOrientations().map(({ axes }) => axes);
  const axes = orders.reduce((most, order) => (best(order) > best(most) + 1e-9 ? order : most));
  return reoriented(volume, { axes, flips: axes.map((axis, world) => rows[world][axis] < 0) });
}

/** A copy whose voxels can be written. */
export function copied(study) {
  const again = (volume) => ({ ...volume, data: volume.data.slice() });
  return { ...study, scan: again(study.scan), marks: again(study.marks) };
}

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32), with `within`, `normal` and `pick`. */
export function randomOf(seed) {
  let state = seed >>> 0;
  const unit = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  let place = seed >>> 0;
  const normal = () => {
    place = (Math.imul(place, 1664525) + 1013904223) >>> 0;
    return NORMAL[place >>> 15];
  };
  const within = (low, high) => low + (high - low) * unit();
  return { unit, normal, within };
}

/** Gaussian numbers to choose from: millions are wanted. */
const NORMAL = new Float32Array(131072);
for (let i = 0, { unit } = randomOf(1); i < NORMAL.length; i++) {
  let sum = -6;
  for (let k = 0; k < 12; k++) sum += unit();
  NORMAL[i] = sum;
}

/** Smooth noise of about −1 to 1 at a place in mm, with bumps of `sizeMm`; it repeats after 64 bumps. */
export function smoothNoise(seed, sizeMm) {
  const { unit } = randomOf(seed);
  const corners = Float32Array.from({ length: 64 ** 3 }, () => 3.2 * unit() - 1.6);
  return (xMm, yMm, zMm) => {
    const [x, y, z] = [xMm / sizeMm, yMm / sizeMm, zMm / sizeMm];
    const [i, j, k] = [Math.floor(x), Math.floor(y), Math.floor(z)];
    const [u, v, w] = [ease(x - i), ease(y - j), ease(z - k)];
    const [i0, i1, j0, j1] = [i & 63, (i + 1) & 63, (j & 63) << 6, ((j + 1) & 63) << 6];
    const [k0, k1] = [(k & 63) << 12, ((k + 1) & 63) << 12];
    const low = corners[k0 | j0 | i0] * (1 - u) + corners[k0 | j0 | i1] * u;
    const lowNext = corners[k0 | j1 | i0] * (1 - u) + corners[k0 | j1 | i1] * u;
    const high = corners[k1 | j0 | i0] * (1 - u) + corners[k1 | j0 | i1] * u;
    const highNext = corners[k1 | j1 | i0] * (1 - u) + corners[k1 | j1 | i1] * u;
    return (low * (1 - v) + lowNext * v) * (1 - w) + (high * (1 - v) + highNext * v) * w;
  };
}

function ease(t) {
  return t * t * (3 - 2 * t);
}

/** Length of a vector; `Math.hypot` takes ten times as long. */
export function norm(x, y, z = 0) {
  return Math.sqrt(x * x + y * y + z * z);
}

/** The study on a grid with room in mm on the named sides (`left`, `right`, `back`, `front`, `below`, `above`), filled with air. */
export function grown(study, room) {
  const { shape, spacingMm } = study.scan;
  const voxels = (mm, axis) => Math.ceil((mm ?? 0) / spacingMm[axis] - 1e-6);
  const low = [voxels(room.below, 0), voxels(room.back, 1), voxels(room.left, 2)];
  const high = [voxels(room.above, 0), voxels(room.front, 1), voxels(room.right, 2)];
  const wanted = shape.map((size, axis) => low[axis] + size + high[axis]);
  const offset = (study.offset ?? [0, 0, 0]).map((at, axis) => at - low[axis]);
  return { ...study, scan: put(study.scan, wanted, low, AIR_HU), marks: put(study.marks, wanted, low, 0), offset };
}

/** A box of the study. */
export function cropped(study, low, size) {
  const minus = low.map((at) => -at);
  const offset = (study.offset ?? [0, 0, 0]).map((at, axis) => at + low[axis]);
  return { ...study, scan: put(study.scan, size, minus, AIR_HU), marks: put(study.marks, size, minus, 0), offset };
}

/** The volume on `wanted` voxels with its first voxel at `low`; what it does not reach is `fill`. */
function put({ data, shape, spacingMm, affine }, wanted, low, fill) {
  const result = new data.constructor(wanted[0] * wanted[1] * wanted[2]);
  if (fill !== 0) result.fill(fill);
  const from = low.map((at) => Math.max(0, -at));
  const end = shape.map((size, axis) => Math.min(size, wanted[axis] - low[axis]));
  for (let z = from[0]; z < end[0]; z++) {
    for (let y = from[1]; y < end[1]; y++) {
      const row = (z * shape[1] + y) * shape[2];
      const to = ((z + low[0]) * wanted[1] + y + low[1]) * wanted[2] + low[2];
      result.set(data.subarray(row + from[2], row + end[2]), to + from[2]);
    }
  }
  const moved = [...affine];
  for (let world = 0; world < 3; world++) {
    for (let axis = 0; axis < 3; axis++) moved[4 * world + 3] -= affine[4 * world + 2 - axis] * low[axis];
  }
  return { data: result, shape: wanted, spacingMm, affine: moved };
}

/** The smallest box `{ low, high }` round what holds, with `high` one past the end; `null` where nothing does. */
export function boxOf({ data, shape }, holds) {
  const low = [...shape];
  const high = [0, 0, 0];
  for (let z = 0, at = 0; z < shape[0]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      let [first, last] = [-1, -1];
      for (let x = 0; x < shape[2]; x++, at++) {
        if (!holds(data[at])) continue;
        if (first < 0) first = x;
        last = x;
      }
      if (first < 0) continue;
      [low[0], low[1], low[2]] = [Math.min(low[0], z), Math.min(low[1], y), Math.min(low[2], first)];
      [high[0], high[1], high[2]] = [z + 1, Math.max(high[1], y + 1), Math.max(high[2], last + 1)];
    }
  }
  return high[0] === 0 ? null : { low, high };
}

/** The box in mm from the grid's first face, `[z, y, x]`, of one lung or both. */
export function lungBoxMm(study, sides = SIDES) {
  const box = boxOf(study.marks, (mark) => (mark & sides) !== 0);
  const mm = (corner) => corner.map((at, axis) => at * study.scan.spacingMm[axis]);
  return box && { low: mm(box.low), high: mm(box.high) };
}

/** Calls `each(index, x, y, z)` with the voxel's centre in mm from the grid's first face, for voxels in a box given in mm. */
export function visit({ shape, spacingMm }, lowMm, highMm, each) {
  const first = lowMm.map((mm, axis) => Math.max(0, Math.floor(mm / spacingMm[axis])));
  const end = highMm.map((mm, axis) => Math.min(shape[axis], Math.ceil(mm / spacingMm[axis])));
  const [dz, dy, dx] = spacingMm;
  for (let z = first[0]; z < end[0]; z++) {
    for (let y = first[1]; y < end[1]; y++) {
      let at = (z * shape[1] + y) * shape[2] + first[2];
      for (let x = first[2]; x < end[2]; x++, at++) each(at, (x + 0.5) * dx, (y + 0.5) * dy, (z + 0.5) * dz);
    }
  }
}

/** As `visit`, for the whole grid. */
export function visitAll(grid, each) {
  visit(grid, [0, 0, 0], sizeMm(grid), each);
}

/** Edges of the grid in mm. */
export function sizeMm({ shape, spacingMm }) {
  return shape.map((size, axis) => size * spacingMm[axis]);
}

/** The value below which this share of all lies. */
export function quantile(values, share) {
  const sorted = Float32Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * sorted.length)))];
}

export function clamped(hu) {
  return Math.max(-32768, Math.min(32767, Math.round(hu)));
}
