// Other grids, kernels and positions of the same patient: parts of the slices, slice thickness, sharpness, prone, on
// the side, feet first, oblique, and a child's size.
import { reoriented } from '../orientations.mjs';
import { bared, trunkMm } from './body.mjs';
import { AIR_HU, clamped, cropped, randomOf } from './study.mjs';
import { tabled } from './tables.mjs';

const PART = 0.3;

const THIRDS = [
  { name: 'lowest 30 %', from: 0 },
  { name: 'middle 30 %', from: (1 - PART) / 2 },
  { name: 'highest 30 %', from: 1 - PART },
];

/** How the array lies in the file: the table is at the low side of its second axis. */
const POSES = {
  prone: { axes: [0, 1, 2], flips: [false, true, true] },
  'on the right side': { axes: [0, 2, 1], flips: [false, true, false] },
  'on the left side': { axes: [0, 2, 1], flips: [false, false, true] },
  'feet first': { axes: [0, 1, 2], flips: [true, false, true] },
  'feet first, prone': { axes: [0, 1, 2], flips: [true, true, false] },
};

export const variants = [
  ...THIRDS.map(({ name, from }) => ({
    kind: 'slices',
    name,
    compare: true,
    large: true,
    make: (study) => third(study, from),
  })),
  ...[0.5, 2, 5, 10].map((mm) => ({
    kind: 'thickness',
    name: `${mm} mm`,
    compare: false,
    large: mm > 1,
    make: (study) => resliced(study, mm),
  })),
  { kind: 'kernel', name: 'sharp', compare: false, large: true, make: sharpened },
  {
    kind: 'kernel',
    name: 'soft',
    compare: false,
    large: true,
    make: (study) => withHu(study, blurred(study.scan, 1.2)),
  },
  ...Object.entries(POSES).map(([name, pose]) => ({
    kind: 'pose',
    name,
    compare: true,
    whole: true,
    large: name === 'prone' || name === 'on the right side',
    make: (study) => posed(study, pose),
  })),
  { kind: 'pose', name: 'oblique by 15°', compare: false, large: true, make: (study) => oblique(study, 15) },
  { kind: 'child', name: 'half as large', compare: false, large: true, make: child },
];

function third(study, from) {
  const [nz, ny, nx] = study.scan.shape;
  const size = Math.max(1, Math.round(PART * nz));
  return cropped(study, [Math.min(nz - size, Math.round(from * nz)), 0, 0], [size, ny, nx]);
}

/** Slices of another thickness between the same outer faces: means of what lies in thicker ones, lines between thinner ones. */
function resliced(study, mm) {
  const { scan, marks } = study;
  const [nz, ny, nx] = scan.shape;
  const count = Math.max(1, Math.round((nz * scan.spacingMm[0]) / mm));
  const ratio = nz / count;
  const area = ny * nx;
  const data = new Int16Array(count * area);
  const what = new Uint8Array(count * area);
  for (let k = 0; k < count; k++) {
    const parts = ratio > 1 ? overlap(k * ratio, (k + 1) * ratio, nz) : between((k + 0.5) * ratio - 0.5, nz);
    const most = parts.reduce((best, part) => (part.share > best.share ? part : best));
    const middle = ratio > 1 ? Math.min(nz - 1, Math.floor((k + 0.5) * ratio)) : most.z;
    what.set(marks.data.subarray(middle * area, (middle + 1) * area), k * area);
    for (let i = 0; i < area; i++) {
      let sum = 0;
      for (const { z, share } of parts) sum += share * scan.data[z * area + i];
      data[k * area + i] = Math.round(sum);
    }
  }
  const affine = [...scan.affine];
  for (let world = 0; world < 3; world++) {
    affine[4 * world + 2] *= ratio;
    affine[4 * world + 3] += scan.affine[4 * world + 2] * (0.5 * ratio - 0.5);
  }
  const grid = { shape: [count, ny, nx], spacingMm: scan.spacingMm.with(0, scan.spacingMm[0] * ratio), affine };
  return { ...study, scan: { ...grid, data }, marks: { ...grid, data: what } };
}

function overlap(from, to, nz) {
  const parts = [];
  for (let z = Math.floor(from); z < Math.min(nz, Math.ceil(to)); z++) {
    const share = (Math.min(z + 1, to) - Math.max(z, from)) / (to - from);
    if (share > 1e-9) parts.push({ z, share });
  }
  return parts;
}

function between(at, nz) {
  const place = Math.max(0, Math.min(nz - 1, at));
  const low = Math.min(nz - 2, Math.floor(place));
  if (low < 0) return [{ z: 0, share: 1 }];
  return [
    { z: low, share: 1 - (place - low) },
    { z: low + 1, share: place - low },
  ];
}

function withHu(study, data) {
  return { ...study, scan: { ...study.scan, data } };
}

/** Edges twice as steep and noise of 60 HU. */
function sharpened(study) {
  const soft = blurred(study.scan, Math.max(0.8, 0.6 * study.scan.spacingMm[2]));
  const random = randomOf(53);
  const { data } = study.scan;
  const sharp = new Int16Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const hu = data[i];
    // Padding is no image.
    sharp[i] = hu < -1500 ? hu : clamped(hu + 1.2 * (hu - soft[i]) + 60 * random.normal());
  }
  return withHu(study, sharp);
}

/** Gaussian blur. */
function blurred({ data, shape, spacingMm }, sigmaMm) {
  let current = Float32Array.from(data);
  for (const axis of [0, 1, 2]) {
    const sigma = sigmaMm / spacingMm[axis];
    if (sigma < 0.2) continue;
    const reach = Math.ceil(2.5 * sigma);
    const weights = Array.from({ length: 2 * reach + 1 }, (_, k) =>
      Math.exp(-((k - reach) ** 2) / (2 * sigma * sigma)),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const stride = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
    const next = new Float32Array(current.length);
    for (const [k, weight] of weights.entries()) {
      addShifted(next, current, { size: shape[axis], stride, shift: k - reach }, weight / total);
    }
    current = next;
  }
  return Int16Array.from(current, Math.round);
}

/** Adds `weight` times the voxels `shift` further along an axis, the last ones repeated. */
function addShifted(to, from, { size, stride, shift }, weight) {
  for (let start = 0; start < to.length; start += size * stride) {
    if (stride === 1) {
      const [first, last] = [Math.max(0, -shift), size - Math.max(0, shift)];
      for (let k = 0; k < first; k++) to[start + k] += weight * from[start];
      for (let k = first; k < last; k++) to[start + k] += weight * from[start + k + shift];
      for (let k = last; k < size; k++) to[start + k] += weight * from[start + size - 1];
      continue;
    }
    for (let k = 0; k < size; k++) {
      const line = start + k * stride;
      const other = start + Math.max(0, Math.min(size - 1, k + shift)) * stride;
      for (let i = 0; i < stride; i++) to[line + i] += weight * from[other + i];
    }
  }
}

/** The patient turned on the table; the file's affine says how. */
function posed(study, pose) {
  const room = { left: 95, right: 95, back: 95, front: 95 };
  const wide = bared(study, pose.axes[1] === 2 ? room : { ...room, left: 30, right: 30 });
  const turned = { ...wide, scan: reoriented(wide.scan, pose), marks: reoriented(wide.marks, pose) };
  return tabled(turned, 'curved cradle', -930, trunkMm(turned));
}

/** The array turned about the body's long axis, lines between voxels; the affine says so. */
function oblique(study, degrees) {
  const { scan, marks } = study;
  const [nz, ny, nx] = scan.shape;
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const [, dy, dx] = scan.spacingMm;
  const [width, height] = [
    Math.ceil((nx * dx * cos + ny * dy * sin) / dx),
    Math.ceil((nx * dx * sin + ny * dy * cos) / dy),
  ];
  // New voxel (i, j) lies at old place (a i + b j + c, d i + e j + f), in voxels.
  const [a, b, d, e] = [cos, (-sin * dy) / dx, (sin * dx) / dy, cos];
  const c = (nx - 1) / 2 - (a * (width - 1)) / 2 - (b * (height - 1)) / 2;
  const f = (ny - 1) / 2 - (d * (width - 1)) / 2 - (e * (height - 1)) / 2;
  const data = new Int16Array(nz * height * width);
  const what = new Uint8Array(data.length);
  const fill = Math.min(AIR_HU, scan.data[0]);
  for (let j = 0; j < height; j++) {
    for (let i = 0; i < width; i++) {
      const [x, y] = [a * i + b * j + c, d * i + e * j + f];
      const [x0, y0] = [Math.floor(x), Math.floor(y)];
      const there = x0 >= 0 && y0 >= 0 && x0 + 1 < nx && y0 + 1 < ny;
      const [u, v] = [x - x0, y - y0];
      const near = Math.round(y) * nx + Math.round(x);
      for (let z = 0; z < nz; z++) {
        const to = (z * height + j) * width + i;
        const from = (z * ny + y0) * nx + x0;
        data[to] = fill;
        if (!there) continue;
        const low = scan.data[from] * (1 - u) + scan.data[from + 1] * u;
        const high = scan.data[from + nx] * (1 - u) + scan.data[from + nx + 1] * u;
        data[to] = Math.round(low * (1 - v) + high * v);
        what[to] = marks.data[z * ny * nx + near];
      }
    }
  }
  const affine = [...scan.affine];
  for (let world = 0; world < 3; world++) {
    const [alongX, alongY] = [scan.affine[4 * world], scan.affine[4 * world + 1]];
    affine[4 * world] = alongX * a + alongY * d;
    affine[4 * world + 1] = alongX * b + alongY * e;
    affine[4 * world + 3] += alongX * c + alongY * f;
  }
  const grid = { shape: [nz, height, width], spacingMm: scan.spacingMm, affine };
  return { ...study, scan: { ...grid, data }, marks: { ...grid, data: what } };
}

/** A body of half the size. Its bronchi are thinner than those that a centreline was drawn for. */
function child(study) {
  const half = (volume) => ({
    ...volume,
    spacingMm: volume.spacingMm.map((mm) => mm / 2),
    affine: volume.affine.map((value, i) => (i < 12 ? value / 2 : value)),
  });
  return { ...study, scan: half(study.scan), marks: half(study.marks), knows: { ...study.knows, airways: false } };
}
