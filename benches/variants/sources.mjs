// The studies that variants are made of: real scans with reference masks of the lungs, and phantoms, whose truth is
// known whole.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readVolume } from '../../dist/index.js';
import { components, distanceMm, filledSlices } from './distance.mjs';
import { BODY, canonical, LEFT, LUNG, quantile, RIGHT, WALL } from './study.mjs';

/** Scans of `DATA/ct`; `whole` where the field of view holds the trunk from skin to skin. */
const REAL = [
  { name: 'id001', scan: 'imlab_id001_ct.nii.gz', mask: 'imlab_id001_lungmask.nii.gz', whole: true },
  { name: 'id003', scan: 'imlab_id003_ct.nii.gz', mask: 'imlab_id003_lungmask.nii.gz', whole: true },
  { name: 'ct-64', scan: 'cip/ct-64.nrrd', mask: 'cip/wholeLung-64.nrrd', whole: false },
  // A right lung alone; its mask lies on a finer grid.
  {
    name: 'elastix',
    scan: 'elastix/3DCT_lung_baseline_small.mha',
    mask: 'elastix/3DCT_lung_baseline_mask.mha',
    whole: false,
    alone: RIGHT,
  },
];

/** Values of a phantom's truth of the anatomy. */
const TRUE_RIGHT_LUNG = 4;

/** Functions that read one study each, of the scans that are there. */
export function realSources(data) {
  return REAL.filter(({ scan }) => existsSync(join(data, 'ct', scan))).map((one) => ({
    name: one.name,
    load: () => realStudy(join(data, 'ct'), one),
  }));
}

/** The same of phantoms. */
export function phantomSources(phantoms) {
  return phantoms.map((one) => ({ name: shortName(one), load: () => phantomStudy(one) }));
}

function shortName({ name }) {
  return name.replace('phantom_small_', 'p');
}

async function realStudy(folder, { name, scan, mask, whole, alone }) {
  const [ct, lungs] = (await Promise.all([scan, mask].map((file) => readVolume(join(folder, file))))).map(canonical);
  const data = Int16Array.from(ct.data);
  const inLungs = nearest(lungs, ct.shape);
  const side = alone ? () => alone : sidesOf(inLungs, ct);
  const body = bodyOf(data, inLungs, ct);
  const marks = body.map((inside, i) => (inLungs[i] ? LUNG | side(i) : inside ? BODY : 0));
  const knows = { body: false, airways: false };
  return { name, scan: { ...ct, data }, marks: { ...ct, data: marks }, knows, whole };
}

async function phantomStudy(one) {
  const { image, anatomy, lungs, airways } = one;
  const [ct, what, sides, walls] = await Promise.all([image, anatomy, lungs, airways].map((file) => readVolume(file)));
  const marks = what.data;
  for (let i = 0; i < marks.length; i++) {
    const value = marks[i] === TRUE_RIGHT_LUNG ? LUNG : marks[i];
    marks[i] = value | (sides.data[i] === 1 ? LEFT : sides.data[i] === 2 ? RIGHT : 0) | (walls.data[i] ? WALL : 0);
  }
  return {
    name: shortName(one),
    scan: ct,
    marks: { ...what, data: marks },
    knows: { body: true, airways: true },
    whole: true,
  };
}

/** The mask on `shape` voxels that fill the same box. */
function nearest({ data, shape: from }, shape) {
  const result = new Uint8Array(shape[0] * shape[1] * shape[2]);
  const places = shape.map((size, axis) =>
    Int32Array.from({ length: size }, (_, i) => Math.floor(((i + 0.5) * from[axis]) / size)),
  );
  let to = 0;
  for (const z of places[0]) {
    for (const y of places[1]) for (const x of places[2]) result[to++] = data[(z * from[1] + y) * from[2] + x] ? 1 : 0;
  }
  return result;
}

/** Which lung a voxel of the mask belongs to: its core's, told by the side of the plane between the two cores' middles. */
function sidesOf(mask, { shape, spacingMm }) {
  const depth = distanceMm((i) => mask[i] === 0, shape, spacingMm);
  const inside = depth.filter((mm) => mm > 0);
  // Lungs that touch come apart where they are thin.
  for (const shareOut of [0, 0.3, 0.5, 0.7]) {
    const least = quantile(inside, shareOut);
    const { labels, sizes } = components((i) => depth[i] > least, shape);
    const [first, second] = sizes.map((size, label) => ({ size, label })).sort((a, b) => b.size - a.size);
    if (!second || second.size < 0.3 * first.size) continue;
    const places = [first, second].map(({ label }) => middleX(labels, label, shape));
    const [left, right] = places[0] < places[1] ? [first, second] : [second, first];
    const [toLeft, toRight] = [left, right].map(({ label }) =>
      distanceMm((i) => labels[i] === label, shape, spacingMm),
    );
    return (i) => (toLeft[i] <= toRight[i] ? LEFT : RIGHT);
  }
  throw new Error('The two lungs of a reference mask do not come apart.');
}

function middleX(labels, label, shape) {
  let [sum, count] = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] !== label) continue;
    sum += i % shape[2];
    count += 1;
  }
  return sum / count;
}

/** The trunk of a real scan, an estimate: the largest piece of tissue thicker than a table's shell, with all it encloses. */
function bodyOf(hu, lungs, { shape, spacingMm }) {
  const tissue = filledSlices(
    hu.reduce((mask, value, i) => {
      if (value > -300 || lungs[i]) mask[i] = 1;
      return mask;
    }, new Uint8Array(hu.length)),
    shape,
  );
  const toAir = distanceMm((i) => tissue[i] === 0, shape, spacingMm, 2);
  const { labels, sizes } = components((i) => toAir[i] > 9, shape);
  const core = sizes.indexOf(Math.max(...sizes));
  const toCore = distanceMm((i) => labels[i] === core, shape, spacingMm, 2);
  return filledSlices(
    tissue.map((value, i) => (value && toCore[i] < 12 ? 1 : 0)),
    shape,
  );
}
