// Scans without a chest: abdomens, heads, legs, water, tables, air and noise. None of them has a lung.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readVolume } from '../../dist/index.js';
import { limb } from './beside.mjs';
import { fillAbdomen, headShape } from './beyond.mjs';
import { trunkMm } from './body.mjs';
import { distanceMm } from './distance.mjs';
import { AIR, AIR_HU, BODY, boxOf, clamped, cropped, norm, randomOf, SIDES, sizeMm, visitAll } from './study.mjs';
import { SHAPE_NAMES, tableAlone, tabled } from './tables.mjs';

const SHAPE = [72, 120, 150];
const SPACING_MM = [4, 3, 3];
const MIDDLE = [225, 200];
const MIN_BELOW_MM = 8;
const TABLE_CORES_HU = [-850, -900, -930, -960, -980];
/** Abdomens in files; the second is a part of the first with other voxels. */
const ABDOMENS = ['ts_example_ct.nii.gz', 'ts_example_ct_sm.nii.gz'];

/** `{ name, make }` of every scan without a chest. */
export function emptyScans(data) {
  const files = ABDOMENS.map((file) => join(data, 'ct', file)).filter((file) => existsSync(file));
  return [
    ...files.map((file, i) => ({ name: `abdomen of a file, ${i + 1}`, make: () => readVolume(file) })),
    ...SYNTHETIC.map(([name, make]) => ({ name, make: async () => make(randomOf(name.length * 1009 + 7)).scan })),
  ];
}

/** The slices below both lungs of a study as a scan; `null` where there are too few. */
export function belowLungs(study) {
  const [, ny, nx] = study.scan.shape;
  const { low } = boxOf(study.marks, (mark) => (mark & SIDES) !== 0);
  const count = low[0] - 1;
  const enough = count >= 3 && count * study.scan.spacingMm[0] >= MIN_BELOW_MM;
  return enough ? cropped(study, [0, 0, 0], [count, ny, nx]).scan : null;
}

const SYNTHETIC = [
  ['air', (random) => filled(() => -1000 + 12 * random.normal())],
  ['padding alone', () => filled(() => -1024)],
  ['zeros', () => filled(() => 0)],
  ['soft tissue', (random) => filled(() => 45 + 12 * random.normal())],
  ['noise about -500', (random) => filled(() => -500 + 300 * random.normal())],
  ['noise from -1000 to 1000', (random) => filled(() => random.within(-1000, 1000))],
  ['lung-like noise', (random) => filled(() => -850 + 60 * random.normal())],
  ['water cylinder', () => cylinder(100, 0)],
  ['water cylinder on a table', () => onTable(cylinder(100, 0), 'curved cradle', -900)],
  ['bucket of air', () => cylinder(120, AIR_HU, 6)],
  ['block of foam', (random) => block(-850, random)],
  ['head', () => head(120)],
  ['head and neck', () => head(20)],
  ['head on a table', () => onTable(head(60), 'narrow board with rails', -930)],
  ['legs', () => legs(2)],
  ['legs on a mattress', () => onTable(legs(2), 'mattress on board', -960)],
  ['one arm', () => legs(1)],
  ['abdomen with bowel gas', (random) => abdomen(random, [20, 60], 26)],
  ['abdomen with much gas', (random) => abdomen(random, [50, 95], 14)],
  ['abdomen on a table', (random) => onTable(abdomen(random, [20, 60], 26), 'flat board', -900)],
  ['abdomen on a mattress', (random) => onTable(abdomen(random, [30, 70], 20), 'mattress on board', -930)],
  ...SHAPE_NAMES.map((shape, i) => [
    `table alone: ${shape}, ${TABLE_CORES_HU[i]}`,
    () =>
      tableAlone(
        filled(() => AIR_HU, AIR),
        shape,
        TABLE_CORES_HU[i],
      ),
  ]),
];

/** A study without a patient. */
function filled(huOf, mark = AIR) {
  const count = SHAPE[0] * SHAPE[1] * SHAPE[2];
  const [dz, dy, dx] = SPACING_MM;
  const affine = [dx, 0, 0, -220, 0, dy, 0, -180, 0, 0, dz, -900, 0, 0, 0, 1];
  const grid = { shape: SHAPE, spacingMm: SPACING_MM, affine };
  const scan = { ...grid, data: Int16Array.from({ length: count }, () => clamped(huOf())) };
  return { name: 'empty', scan, marks: { ...grid, data: new Uint8Array(count).fill(mark) } };
}

/** Paints `huOf(x, y, z)` where that is a number. */
function painted(huOf) {
  const random = randomOf(61);
  const study = filled(() => AIR_HU);
  visitAll(study.scan, (at, x, y, z) => {
    const hu = huOf(x, y, z);
    if (hu === undefined) return;
    study.scan.data[at] = clamped(hu + 8 * random.normal());
    study.marks.data[at] = BODY;
  });
  return study;
}

function cylinder(radiusMm, hu, wallMm = 4) {
  return painted((x, y) => {
    const off = norm(x - MIDDLE[0], y - MIDDLE[1]);
    return off > radiusMm ? undefined : off > radiusMm - wallMm ? 110 : hu;
  });
}

function block(hu, random) {
  return painted((x, y, z) =>
    Math.abs(x - MIDDLE[0]) < 150 && Math.abs(y - MIDDLE[1]) < 80 && z > 40 && z < 240
      ? hu + 10 * random.normal()
      : undefined,
  );
}

/** A head from `start` mm above the shoulders on. */
function head(start) {
  const shape = headShape(MIDDLE, 8, { back: 90 }, false);
  return painted((x, y, z) => shape(x, y, z + start, -1)?.hu);
}

function legs(count) {
  const study = filled(() => AIR_HU);
  const [tall] = sizeMm(study.scan);
  for (const side of count === 2 ? [-1, 1] : [0]) {
    const x = MIDDLE[0] + side * 85;
    limb(
      study,
      [
        [x, MIDDLE[1], -120],
        [x + 8 * side, MIDDLE[1], tall + 120],
      ],
      count === 2 ? 75 : 45,
      BODY,
      14,
    );
  }
  return study;
}

function abdomen(random, sizesMm, count) {
  const study = painted((x, y) => (norm((x - MIDDLE[0]) / 170, (y - MIDDLE[1]) / 120) < 1 ? 45 : undefined));
  const [nz, ny, nx] = SHAPE;
  const slice = study.marks.data.subarray(0, ny * nx);
  const depth = distanceMm((i) => slice[i] === AIR, [1, ny, nx], SPACING_MM, 2);
  fillAbdomen(study, { from: 0, to: nz, depth, trunk: trunkMm(study) }, random, sizesMm, count);
  return study;
}

function onTable(study, shape, coreHu) {
  return tabled(study, shape, coreHu);
}
