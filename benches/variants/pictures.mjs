// Pictures of variants: a coronal and an axial slice each, what was found in colour, the true lungs outlined.
import { encode } from 'fast-png';
import { boxOf, canonical, SIDES, WHAT } from './study.mjs';

const PIXEL_MM = 2.5;
const WINDOW_HU = [-1050, 350];
const GAP = 4;
/** Colours of an anatomy's values: mediastinum, left lung, right lung, airways. */
const COLOURS = { 2: [150, 90, 170], 3: [60, 120, 255], 4: [60, 200, 110], 5: [255, 210, 40] };
const OUTLINE = [255, 60, 60];
/** Letters of 3 × 5 pixels, a row three bits. */
const LETTERS = Object.fromEntries(
  Object.entries({
    a: 0o25755,
    b: 0o65656,
    c: 0o34443,
    d: 0o65556,
    e: 0o74647,
    f: 0o74644,
    g: 0o34553,
    h: 0o55755,
    i: 0o72227,
    j: 0o11152,
    k: 0o55655,
    l: 0o44447,
    m: 0o57755,
    n: 0o65555,
    o: 0o25552,
    p: 0o65644,
    q: 0o25573,
    r: 0o65655,
    s: 0o34216,
    t: 0o72222,
    u: 0o55557,
    v: 0o55552,
    w: 0o55775,
    x: 0o55255,
    y: 0o55222,
    z: 0o71247,
    0: 0o75557,
    1: 0o26227,
    2: 0o61247,
    3: 0o71317,
    4: 0o55711,
    5: 0o74616,
    6: 0o34757,
    7: 0o71122,
    8: 0o75757,
    9: 0o75716,
    '-': 0o00700,
    '.': 0o00002,
    ',': 0o00024,
    '%': 0o51245,
    ':': 0o02020,
  }),
);

/** One tile: both slices of a scan with its labels and truth, a caption above. */
export function tile({ scan, truth, look }, labels, caption) {
  const [hu, marks, found] = [scan, truth, labels].map(canonical);
  const box = boxOf(marks, (mark) => (mark & SIDES) !== 0) ?? boxOf(marks, (mark) => (mark & WHAT) !== 0);
  const { low, high } = box ?? { low: [0, 0, 0], high: hu.shape };
  const at = (axis, share) => Math.min(hu.shape[axis] - 1, Math.floor(low[axis] + share * (high[axis] - low[axis])));
  const [z, y] = [look?.zMm, look?.yMm].map((mm, axis) =>
    mm ? Math.floor(mm / hu.spacingMm[axis]) : at(axis, 0.5 - 0.05 * axis),
  );
  const slices = [slice({ hu, marks, found }, 1, y), slice({ hu, marks, found }, 0, z)];
  return stacked([captioned(caption), beside(slices)]);
}

/** Tiles as a PNG, so many a row. */
export function sheet(tiles, columns) {
  const rows = [];
  for (let i = 0; i < tiles.length; i += columns) rows.push(beside(tiles.slice(i, i + columns)));
  const { width, height, rgb } = stacked(rows);
  return encode({ width, height, data: rgb, channels: 3, depth: 8 });
}

/** A slice across `axis`, the patient's right at the left. */
function slice({ hu, marks, found }, axis, place) {
  const [down, across] = axis === 0 ? [1, 2] : [0, 2];
  const { shape, spacingMm } = hu;
  const strides = [shape[1] * shape[2], shape[2], 1];
  const [height, width] = [down, across].map((a) => Math.max(1, Math.round((shape[a] * spacingMm[a]) / PIXEL_MM)));
  const rgb = new Uint8Array(3 * width * height);
  const voxel = (row, column) => {
    const j = Math.floor(((height - 1 - row + 0.5) / height) * shape[down]);
    const i = Math.floor(((width - 1 - column + 0.5) / width) * shape[across]);
    return place * strides[axis] + j * strides[down] + i * strides[across];
  };
  const inLung = (row, column) =>
    row >= 0 && column >= 0 && row < height && column < width && (marks.data[voxel(row, column)] & SIDES) !== 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = voxel(row, column);
      const grey = Math.max(
        0,
        Math.min(255, (255 * (Number(hu.data[at]) - WINDOW_HU[0])) / (WINDOW_HU[1] - WINDOW_HU[0])),
      );
      const colour = COLOURS[found.data[at]];
      const here = inLung(row, column);
      const edge =
        here &&
        !(inLung(row - 1, column) && inLung(row, column - 1) && inLung(row + 1, column) && inLung(row, column + 1));
      for (let c = 0; c < 3; c++) {
        rgb[3 * (row * width + column) + c] = edge ? OUTLINE[c] : colour ? 0.6 * grey + 0.4 * colour[c] : grey;
      }
    }
  }
  return { width, height, rgb };
}

function captioned(text) {
  const [width, height] = [4 * 2 * text.length, 12];
  const rgb = new Uint8Array(3 * width * height);
  [...text.toLowerCase()].forEach((letter, index) => {
    const bits = LETTERS[letter] ?? 0;
    for (let k = 0; k < 15; k++) {
      if (((bits >> (14 - k)) & 1) === 0) continue;
      for (let dot = 0; dot < 4; dot++) {
        const x = 8 * index + 2 * (k % 3) + (dot & 1);
        const y = 2 * Math.floor(k / 3) + (dot >> 1);
        rgb.fill(230, 3 * (y * width + x), 3 * (y * width + x) + 3);
      }
    }
  });
  return { width, height, rgb };
}

function beside(pictures) {
  const width = pictures.reduce((total, picture) => total + picture.width + GAP, 0);
  const height = Math.max(...pictures.map((picture) => picture.height));
  return placed(pictures, width, height, ({ width: step }) => [step + GAP, 0]);
}

function stacked(pictures) {
  const width = Math.max(...pictures.map((picture) => picture.width));
  const height = pictures.reduce((total, picture) => total + picture.height + GAP, 0);
  return placed(pictures, width, height, ({ height: step }) => [0, step + GAP]);
}

function placed(pictures, width, height, stepOf) {
  const rgb = new Uint8Array(3 * width * height);
  let [left, top] = [0, 0];
  for (const picture of pictures) {
    for (let y = 0; y < picture.height; y++) {
      const row = picture.rgb.subarray(3 * y * picture.width, 3 * (y + 1) * picture.width);
      rgb.set(row, 3 * ((top + y) * width + left));
    }
    const [right, down] = stepOf(picture);
    [left, top] = [left + right, top + down];
  }
  return { width, height, rgb };
}
