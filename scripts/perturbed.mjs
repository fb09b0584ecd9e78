// Scans with something wrong, and what is said of each: one phantom, perturbed in 45 ways.
//
//   node scripts/perturbed.mjs [--model NAME|DIR] [--write]
//
// Prints a row a scan and ends with status 1 where something else is said than is expected; `--write` renews the table
// in docs/guides/sanity.md.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { phantom, readVolume, Segmenter, writeVolume } from 'pulmoav';

/** A phantom of which nothing is said, every second voxel along each axis; and which lung each voxel is in. */
export async function base(folder) {
  const [{ image, lungs }] = await phantom({ out: folder, seed: 900_103 });
  const [scan, sides] = [await readVolume(image), await readVolume(lungs)];
  return { scan: thinned(scan, [2, 2, 2]), sides: thinned(sides, [2, 2, 2]) };
}

/**
 * Name, what is done, and the codes that must be among those of the warnings, or that of the refusal. `make` gives a
 * volume, a path, or a volume with options. Nothing is said where nothing is wrong.
 */
export function perturbations({ scan, sides }, folder) {
  const lung = boxOf(sides);
  const middle = scan.shape[2] >> 1;
  const file = (name, change) => async () => {
    const path = join(folder, name);
    await writeVolume(path, scan);
    change(path);
    return path;
  };
  const loose = async () => {
    const path = join(folder, 'loose.nii');
    await writeVolume(path, { ...scan, oriented: false });
    return path;
  };
  return [
    ['as it is', () => scan, []],
    ['stored values, the rescale intercept forgotten (+1024)', () => values(scan, (hu) => hu + 1024), ['NO_LUNGS']],
    ['a tenth of every value', () => values(scan, (hu) => hu / 10), ['NO_LUNGS']],
    ['inverted', () => values(scan, (hu) => -hu), ['NO_LUNGS']],
    ['a window of 8 bits', () => values(scan, (hu) => Math.min(255, Math.max(0, (hu + 1000) / 6))), ['NOT_HU']],
    ['one-bit: above -500 HU or not', () => values(scan, (hu) => Number(hu > -500)), ['NOT_HU']],
    ['the label map in place of the scan', () => sides, ['NOT_HU']],
    ['air alone', () => values(scan, () => -1024), ['NOT_HU']],
    ['water alone', () => values(scan, () => 0), ['NOT_HU']],
    [
      'noise alone',
      () =>
        noise(
          values(scan, () => 0),
          300,
        ),
      ['NO_LUNGS'],
    ],
    ['NaN in every hundredth voxel', () => floats(scan, (hu, at) => (at % 100 ? hu : Number.NaN)), ['NOT_HU']],
    ['infinite values', () => floats(scan, (hu, at) => (at % 5000 ? hu : Number.POSITIVE_INFINITY)), ['NOT_HU']],
    ['below the lungs', () => cropped(scan, 0, 0, Math.max(2, lung.low[0] - 1)), ['NO_LUNGS']],
    ['the lower half of the lungs missing', () => cropped(scan, 0, mid(lung, 0), scan.shape[0]), ['CUT_LUNGS']],
    ['the upper half of the lungs missing', () => cropped(scan, 0, 0, mid(lung, 0)), ['CUT_LUNGS']],
    ['the front of the lungs missing', () => cropped(scan, 1, 0, mid(lung, 1) + 4), ['CUT_LUNGS']],
    ['one side missing', () => cropped(scan, 2, 0, middle), ['ONE_LUNG', 'CUT_LUNGS']],
    ['cut at the lungs on all sides', () => boxed(scan, lung), ['CUT_LUNGS']],
    ['the left lung full of fluid', () => filled(scan, sides, [1]), ['ONE_LUNG']],
    ['the right lung full of fluid', () => filled(scan, sides, [2]), ['ONE_LUNG']],
    ['both lungs full of fluid', () => filled(scan, sides, [1, 2]), ['NO_LUNGS']],
    ['slices of 5 mm', () => thinned(scan, [Math.round(5 / scan.spacingMm[0]), 1, 1]), ['COARSE_SPACING']],
    ['slices of 10 mm', () => thinned(scan, [Math.round(10 / scan.spacingMm[0]), 1, 1]), ['COARSE_SPACING']],
    ['one slice', () => cropped(scan, 0, mid(lung, 0), mid(lung, 0) + 1), ['NO_LUNGS']],
    ['three slices', () => cropped(scan, 0, mid(lung, 0), mid(lung, 0) + 3), ['NO_LUNGS']],
    ['the header mirrors left and right', () => flippedHeader(scan, 0), ['SIDES_UNCLEAR']],
    ['the header has front and back the wrong way round', () => flippedHeader(scan, 1), ['ORIENTATION_UNCLEAR']],
    ['the header has head and feet the wrong way round', () => flippedHeader(scan, 2), ['ORIENTATION_UNCLEAR']],
    ['slices stored from head to feet, as the header says', () => flipped(scan, 0), []],
    ['rows and columns stored the other way round, as the header says', () => flipped(flipped(scan, 1), 2), []],
    ['an oblique scan, 15°', () => turnedHeader(scan, 15), []],
    ['no orientation', loose, ['NO_ORIENTATION']],
    [
      'no orientation, and a prompt with a side',
      () => [{ ...scan, oriented: false }, { prompts: ['left artery'] }],
      ['ERR_PROMPT'],
    ],
    ['voxels said to be a tenth as large', () => scaledHeader(scan, 0.1), ['NO_LUNGS']],
    ['voxels said to be in metres', () => scaledHeader(scan, 0.001), ['NO_LUNGS']],
    ['voxels of no size', () => ({ ...scan, spacingMm: [0, 1, 1] }), ['ERR_USAGE']],
    ['a header with two equal directions', () => flatHeader(scan), ['ERR_GEOMETRY']],
    ['padding of -3024 around a circle', () => padded(scan), []],
    ['metal of 30,000 HU', () => values(scan, (hu, at) => (at === scan.data.length >> 1 ? 30_000 : hu)), []],
    ['noise of 60 HU', () => noise(scan, 60), []],
    ['a file cut in half', file('cut.nii', (path) => truncateSync(path, 100_000)), ['ERR_FORMAT']],
    ['an empty file', file('empty.nii', (path) => truncateSync(path, 0)), ['ERR_FORMAT']],
    [
      'a text',
      file('text.nii', (path) => writeFileSync(path, 'not a scan, but long enough to be one '.repeat(40))),
      ['ERR_FORMAT'],
    ],
    ['a file that is not there', () => join(folder, 'nowhere.nii'), ['ERR_IO']],
    ['less memory than the scan', () => [scan, { maxMemory: 1 << 20 }], ['ERR_MEMORY']],
  ];
}

/** The codes of what is said of a scan: of the warnings, or of the refusal; and the first sentence. */
export async function told(segmenter, make) {
  try {
    const made = await make();
    const [scan, options] = Array.isArray(made) ? made : [made, {}];
    const { warnings } = await segmenter.segment(scan, options);
    return { codes: warnings.map(({ code }) => code), words: warnings[0]?.message ?? '' };
  } catch (error) {
    if (!error.code) throw error;
    return { codes: [error.code], words: error.message };
  }
}

function values(scan, change) {
  return { ...scan, data: Int16Array.from(scan.data, (hu, at) => Math.round(change(hu, at))) };
}

function floats(scan, change) {
  return { ...scan, data: Float32Array.from(scan.data, change) };
}

/** Every so many voxels along each axis. */
function thinned(scan, steps) {
  const [ny, nx] = scan.shape.slice(1);
  const shape = scan.shape.map((size, axis) => Math.ceil(size / steps[axis]));
  const data = new scan.data.constructor(shape[0] * shape[1] * shape[2]);
  let at = 0;
  for (let z = 0; z < shape[0]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      for (let x = 0; x < shape[2]; x++, at++) {
        data[at] = scan.data[(z * steps[0] * ny + y * steps[1]) * nx + x * steps[2]];
      }
    }
  }
  const affine = scan.affine.map((value, at) => (at < 12 && at % 4 < 3 ? value * steps[2 - (at % 4)] : value));
  return { ...scan, data, shape, affine, spacingMm: scan.spacingMm.map((mm, axis) => mm * steps[axis]) };
}

/** The voxels from `low` to below `high` along an axis of `[z, y, x]`. */
function cropped(scan, axis, low, high) {
  const [ny, nx] = scan.shape.slice(1);
  const from = [0, 0, 0];
  const shape = [...scan.shape];
  [from[axis], shape[axis]] = [low, high - low];
  const data = new scan.data.constructor(shape[0] * shape[1] * shape[2]);
  let at = 0;
  for (let z = 0; z < shape[0]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      const start = ((z + from[0]) * ny + y + from[1]) * nx + from[2];
      data.set(scan.data.subarray(start, start + shape[2]), at);
      at += shape[2];
    }
  }
  const affine = [...scan.affine];
  for (let row = 0; row < 3; row++) {
    affine[4 * row + 3] += from.reduce((sum, by, axis) => sum + by * affine[4 * row + 2 - axis], 0);
  }
  return { ...scan, data, shape, affine };
}

function boxed(scan, { low, high }) {
  return [0, 1, 2].reduce((part, axis) => cropped(part, axis, low[axis] + 2, high[axis] - 1), scan);
}

function boxOf({ data, shape: [nz, ny, nx] }) {
  const box = { low: [nz, ny, nx], high: [0, 0, 0] };
  data.forEach((value, at) => {
    if (value === 0) return;
    [Math.floor(at / (ny * nx)), Math.floor(at / nx) % ny, at % nx].forEach((place, axis) => {
      box.low[axis] = Math.min(box.low[axis], place);
      box.high[axis] = Math.max(box.high[axis], place + 1);
    });
  });
  return box;
}

function mid({ low, high }, axis) {
  return (low[axis] + high[axis]) >> 1;
}

function filled(scan, sides, full) {
  return values(scan, (hu, at) => (full.includes(sides.data[at]) ? 20 : hu));
}

/** Noise by a generator whose numbers are always the same. */
function noise(scan, sigma) {
  let state = 17;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 1) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return values(scan, (hu) => hu + sigma * normal());
}

/** The other end of a world axis, by the header alone. */
function flippedHeader(scan, row) {
  const affine = [...scan.affine];
  for (let column = 0; column < 4; column++) affine[4 * row + column] *= -1;
  return { ...scan, affine };
}

/** An axis of the array turned round, and the header with it. */
function flipped(scan, axis) {
  const [nz, ny, nx] = scan.shape;
  const data = new scan.data.constructor(scan.data.length);
  scan.data.forEach((value, at) => {
    const place = [Math.floor(at / (ny * nx)), Math.floor(at / nx) % ny, at % nx];
    place[axis] = [nz, ny, nx][axis] - 1 - place[axis];
    data[(place[0] * ny + place[1]) * nx + place[2]] = value;
  });
  const affine = [...scan.affine];
  for (let row = 0; row < 3; row++) {
    const along = affine[4 * row + 2 - axis];
    affine[4 * row + 3] += along * (scan.shape[axis] - 1);
    affine[4 * row + 2 - axis] = -along;
  }
  return { ...scan, data, affine };
}

function turnedHeader(scan, degrees) {
  const [sine, cosine] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  const affine = [...scan.affine];
  for (let column = 0; column < 4; column++) {
    const [x, y] = [scan.affine[column], scan.affine[4 + column]];
    [affine[column], affine[4 + column]] = [cosine * x - sine * y, sine * x + cosine * y];
  }
  return { ...scan, affine };
}

function scaledHeader(scan, by) {
  const affine = scan.affine.map((value, at) => (at < 12 ? value * by : value));
  return { ...scan, affine, spacingMm: scan.spacingMm.map((mm) => mm * by) };
}

function flatHeader(scan) {
  const affine = [...scan.affine];
  for (let row = 0; row < 3; row++) affine[4 * row] = affine[4 * row + 1];
  return { ...scan, affine };
}

function padded(scan) {
  const [, ny, nx] = scan.shape;
  const isOutside = (at) => Math.hypot((Math.floor(at / nx) % ny) - ny / 2, (at % nx) - nx / 2) > nx / 2;
  return values(scan, (hu, at) => (isOutside(at) ? -3024 : hu));
}

/** What is said of a result depends on the model. */
const OF_THE_RESULT = ['EMPTY_RESULT', 'IMPLAUSIBLE_RESULT', 'CLASSES_UNCLEAR'];

/**
 * Whether what is expected is said, and nothing where nothing is; more may be said of what follows from it, and of the
 * result.
 */
export function isAsExpected(codes, expected) {
  const told = codes.filter((code) => !OF_THE_RESULT.includes(code));
  return expected.length === 0 ? told.length === 0 : expected.every((code) => told.includes(code));
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'perturbed-'));
  const named = process.argv.indexOf('--model');
  const segmenter = await Segmenter.load(named > 0 ? { model: process.argv[named + 1] } : { quality: 'fast' });
  let wrong = 0;
  let table = '| scan | what is said | in words |\n|---|---|---|\n';
  try {
    for (const [name, make, expected] of perturbations(await base(join(folder, 'data')), folder)) {
      const { codes, words } = await told(segmenter, make);
      const isRight = isAsExpected(codes, expected);
      if (!isRight) wrong++;
      const said = codes.map((code) => `\`${code}\``).join(' ') || 'nothing';
      const row = `| ${name} | ${said} | ${words.replaceAll(`${folder}/`, '').replaceAll('|', '/')} |`;
      table += `${row}\n`;
      console.log(isRight ? row : `${row} EXPECTED ${expected.join(' ') || 'nothing'}`);
    }
  } finally {
    segmenter.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`${wrong} rows are not as expected`);
  if (process.argv.includes('--write')) {
    const page = join(dirname(dirname(fileURLToPath(import.meta.url))), 'docs/guides/sanity.md');
    const text = readFileSync(page, 'utf8');
    writeFileSync(page, text.replace(/\| scan \|[\s\S]*$/, table));
  }
  process.exitCode = wrong === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
