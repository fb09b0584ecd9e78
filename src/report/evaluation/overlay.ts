import { setImmediate } from 'node:timers/promises';
import { encode } from 'fast-png';
import {
  type Canonical,
  type Colour,
  canonical,
  draw,
  grey,
  number,
  type Picture,
  row,
  VIEWS,
  type View,
} from '../../drawing/slices.js';
import type { Volume } from '../../types.js';

/** Classes of label values 0 to 9: 1 artery, 2 vein, 3 vessel. */
const CLASSES = [0, 1, 2, 1, 1, 2, 2, 3, 3, 3];
/** Outlines of the classes; what was predicted lies inside its line, the reference inside of its own. */
export const PREDICTED: readonly Colour[] = [
  [70, 130, 255],
  [245, 70, 60],
  [190, 110, 230],
];
export const REFERENCE: readonly Colour[] = [
  [70, 225, 255],
  [255, 205, 60],
  [235, 205, 255],
];
/** Where both agree, without a scan behind. */
const AGREED: Colour = [64, 64, 64];
/** Grey levels of a picture: what fewer of them hide nobody sees, and the file is a third. */
const LEVELS = 48;
const MARGIN_MM = 10;
const FINEST_PIXEL_MM = 0.4;
/** As wide as the page's column, so that a browser shows every pixel. */
const WIDTH_PIXELS = 1080;
/** Voxels that are looked at before others get their turn. */
const VOXELS_AT_ONCE = 1 << 22;

/** What is drawn; all on the reference's grid. */
export interface Compared {
  /** The scan behind; `null` for none. */
  scan: Volume | null;
  ref: Volume;
  /** Label maps, of which the first chooses the slices. */
  preds: Volume[];
}

/**
 * Draws each label map and the reference as outlines, as PNG: an axial, a coronal and a sagittal slice, those in which
 * the first label map differs most from the reference, cut to what is labelled. The patient's right is at the picture's
 * left.
 */
export async function drawOverlays({ scan, ref, preds }: Compared): Promise<Uint8Array[]> {
  const grid = canonical(ref);
  const reference = await classesOf(ref);
  const predicted = [];
  for (const pred of preds) predicted.push(await classesOf(pred));
  const { box, slices } = await survey(grid, reference, predicted);
  const cut = cutTo(grid, box);
  const millimetres = VIEWS.reduce(
    (sum, { across }) => sum + number(cut.sizes, across) * number(cut.spacings, across),
    0,
  );
  const pixelMm = Math.max(FINEST_PIXEL_MM, millimetres / WIDTH_PIXELS);
  return predicted.map((classes) =>
    indexedPng(
      row(
        VIEWS.map((view) => {
          const step =
            number(grid.steps, view.through) * (number(slices, view.through) - number(box.low, view.through));
          return drawSlice({ cut, step, view, pixelMm, scan, reference, classes });
        }),
      ),
    ),
  );
}

/** Every voxel's class. */
async function classesOf({ data }: Volume): Promise<Uint8Array> {
  const classes = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at++) {
    const value = data[at];
    if (value) classes[at] = CLASSES[Number(value)] ?? 0;
    if (at % VOXELS_AT_ONCE === 0) await setImmediate();
  }
  return classes;
}

/** Along the canonical axes, the box of what is labelled in any map, and the slices that differ most. */
interface Survey {
  box: { low: number[]; high: number[] };
  slices: number[];
}

async function survey(grid: Canonical, reference: Uint8Array, predicted: Uint8Array[]): Promise<Survey> {
  const [first = reference, ...others] = predicted;
  const [differing, labelled, present] = [0, 1, 2].map(() => grid.sizes.map((size) => new Float64Array(size))) as [
    Float64Array[],
    Float64Array[],
    Float64Array[],
  ];
  const count = (counts: Float64Array[], place: number[]) => {
    for (const [axis, at] of place.entries()) {
      const along = counts[axis];
      if (along) along[at] = (along[at] ?? 0) + 1;
    }
  };
  const inOthers = (offset: number) => {
    for (const classes of others) if (classes[offset]) return true;
    return false;
  };
  const visit = (offset: number, place: number[]) => {
    const p = first[offset];
    const r = reference[offset];
    if (p || r) count(labelled, place);
    if (p !== r) count(differing, place);
    if (p || r || inOthers(offset)) count(present, place);
  };
  await walk(grid, visit);
  const box = boxOf(grid, present);
  const slices = differing.map((counts, axis) => fullest(counts) ?? fullest(labelled[axis] ?? counts) ?? 0);
  return { box, slices };
}

/** Calls `visit` with every voxel's offset and its place along the canonical axes, slowest axis outside. */
async function walk(grid: Canonical, visit: (offset: number, place: number[]) => void): Promise<void> {
  const order = [0, 1, 2].sort((a, b) => Math.abs(number(grid.steps, b)) - Math.abs(number(grid.steps, a)));
  const [outer, middle, inner] = order as [number, number, number];
  const place = [0, 0, 0];
  for (let i = 0; i < number(grid.sizes, outer); i++) {
    place[outer] = i;
    for (let j = 0; j < number(grid.sizes, middle); j++) {
      place[middle] = j;
      let offset = grid.start + i * number(grid.steps, outer) + j * number(grid.steps, middle);
      for (let k = 0; k < number(grid.sizes, inner); k++, offset += number(grid.steps, inner)) {
        place[inner] = k;
        visit(offset, place);
      }
    }
    await setImmediate();
  }
}

/** The place with the most; `null` where nothing was counted. */
function fullest(counts: Float64Array): number | null {
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  return most === 0 ? null : counts.indexOf(most);
}

/** The box of what was counted with a margin, the whole grid where nothing was. */
function boxOf({ sizes, spacings }: Canonical, counts: Float64Array[]): Survey['box'] {
  const margin = (axis: number) => Math.ceil(MARGIN_MM / number(spacings, axis));
  const ends = counts.map((along, axis) => {
    const [first, last] = [along.findIndex((value) => value > 0), along.findLastIndex((value) => value > 0)];
    if (first < 0) return [0, number(sizes, axis) - 1] as const;
    return [Math.max(0, first - margin(axis)), Math.min(number(sizes, axis) - 1, last + margin(axis))] as const;
  });
  return { low: ends.map(([low]) => low), high: ends.map(([, high]) => high) };
}

function cutTo(grid: Canonical, { low, high }: Survey['box']): Canonical {
  return {
    ...grid,
    sizes: low.map((from, axis) => number(high, axis) - from + 1),
    start: low.reduce((start, from, axis) => start + from * number(grid.steps, axis), grid.start),
  };
}

interface SliceToDraw {
  cut: Canonical;
  /** From the cut's first slice to the one that is drawn. */
  step: number;
  view: View;
  pixelMm: number;
  scan: Volume | null;
  reference: Uint8Array;
  classes: Uint8Array;
}

function drawSlice({ cut, step, view, pixelMm, scan, reference, classes }: SliceToDraw): Picture {
  const [found, truth]: [number[], number[]] = [[], []];
  const picture = draw(
    cut,
    view,
    (offset, rgb, at) => {
      const [p = 0, r = 0] = [classes[offset + step], reference[offset + step]];
      found.push(p);
      truth.push(r);
      if (scan) rgb.fill(coarse(grey(Number(scan.data[offset + step]))), at, at + 3);
      else if (p !== 0 && p === r) rgb.set(AGREED, at);
    },
    pixelMm,
  );
  const { width, rgb } = picture;
  for (let pixel = 0; pixel < found.length; pixel++) {
    const colour = outlineAt(found, truth, pixel, width);
    if (colour) rgb.set(colour, 3 * pixel);
  }
  return picture;
}

/** The line that passes a pixel: a prediction's inside its edge, a reference's outside. */
function outlineAt(found: number[], truth: number[], pixel: number, width: number): Colour | undefined {
  const column = pixel % width;
  const neighbours = [
    ...(column > 0 ? [pixel - 1] : []),
    ...(column < width - 1 ? [pixel + 1] : []),
    pixel - width,
    pixel + width,
  ];
  const here = number(found, pixel);
  if (here !== 0 && neighbours.some((other) => (found[other] ?? here) !== here)) return PREDICTED[here - 1];
  const mine = number(truth, pixel);
  const beside = neighbours.map((other) => truth[other] ?? mine).find((other) => other !== 0 && other !== mine);
  return beside === undefined ? undefined : REFERENCE[beside - 1];
}

function coarse(level: number): number {
  return Math.round((Math.round((level / 255) * (LEVELS - 1)) * 255) / (LEVELS - 1));
}

/** A picture of few colours as a PNG with a palette. */
function indexedPng({ width, height, rgb }: Picture): Uint8Array {
  const places = new Map<number, number>();
  const palette: [number, number, number][] = [];
  const data = new Uint8Array(width * height);
  for (let pixel = 0; pixel < data.length; pixel++) {
    const [red = 0, green = 0, blue = 0] = rgb.subarray(3 * pixel, 3 * pixel + 3);
    const colour = (red << 16) | (green << 8) | blue;
    const place = places.get(colour) ?? palette.push([red, green, blue]) - 1;
    places.set(colour, place);
    data[pixel] = place;
  }
  return encode({ width, height, data, channels: 1, depth: 8, palette }, { zlib: { level: 9 } });
}
