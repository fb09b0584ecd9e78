import { encode } from 'fast-png';
import type { Volume, VoxelArray } from '../types.js';

/** Colours of label values 1 to 9, as red, green, blue: arteries blue, veins red, as they are drawn in anatomy. */
const COLOURS: readonly (readonly [number, number, number])[] = [
  [70, 130, 255],
  [240, 70, 60],
  [40, 90, 220],
  [110, 180, 255],
  [205, 40, 50],
  [255, 140, 110],
  [190, 110, 230],
  [150, 80, 200],
  [220, 150, 250],
];
const WINDOW_HU = [-1000, 400] as const;
const PIXEL_MM = 0.75;
const GAP = 6;

/** Axes of a picture in the canonical frame: 0 left–right, 1 back–front, 2 feet–head. */
interface View {
  across: number;
  down: number;
  through: number;
}

/** Seen from below, from the front, from the patient's left: the radiologist's three views. */
const AXIAL: View = { across: 0, down: 1, through: 2 };
const CORONAL: View = { across: 0, down: 2, through: 1 };
const SAGITTAL: View = { across: 1, down: 2, through: 0 };
const VIEWS = [AXIAL, CORONAL, SAGITTAL];

/**
 * Draws a scan and its labels as PNG: above, the three slices with most label; below, projections of the labels, near
 * ones bright. The patient's right is at the picture's left.
 */
export function preview(ct: Volume, labels: Volume<Uint8Array>): Uint8Array {
  const scan = canonical(ct);
  const map = canonical(labels);
  const slices = VIEWS.map((view) => drawSlice(scan, map, view, fullestSlice(map, view.through)));
  const projections = VIEWS.map((view) => drawProjection(map, view));
  return stack([row(slices), row(projections)]);
}

/** A volume with its axes named: `steps[a]` is the way along canonical axis `a`, starting at `start`. */
interface Canonical {
  data: VoxelArray;
  sizes: number[];
  steps: number[];
  spacings: number[];
  start: number;
}

interface Picture {
  width: number;
  height: number;
  rgb: Uint8Array;
}

function canonical(volume: Volume): Canonical {
  const [nz, ny, nx] = volume.shape;
  const strides = [1, nx, nx * ny];
  const counts = [nx, ny, nz];
  const spacing = [volume.spacingMm[2], volume.spacingMm[1], volume.spacingMm[0]];
  const taken = new Set<number>();
  const axes = [0, 1, 2].map((world) => {
    const row = [0, 1, 2].map((axis) => volume.affine[4 * world + axis] ?? 0);
    const free = [0, 1, 2].filter((axis) => !taken.has(axis));
    const axis = free.reduce((best, next) => (Math.abs(row[next] ?? 0) > Math.abs(row[best] ?? 0) ? next : best));
    taken.add(axis);
    return { axis, flipped: (row[axis] ?? 0) < 0 };
  });
  const at = (list: number[], index: number) => list[index] ?? 0;
  return {
    data: volume.data,
    sizes: axes.map(({ axis }) => at(counts, axis)),
    steps: axes.map(({ axis, flipped }) => (flipped ? -1 : 1) * at(strides, axis)),
    spacings: axes.map(({ axis }) => at(spacing, axis)),
    start: axes.reduce((sum, { axis, flipped }) => sum + (flipped ? (at(counts, axis) - 1) * at(strides, axis) : 0), 0),
  };
}

function number(list: number[], index: number): number {
  return list[index] ?? 0;
}

function fullestSlice(map: Canonical, through: number): number {
  const size = number(map.sizes, through);
  const counts = new Array<number>(size).fill(0);
  const [a, b] = [0, 1, 2].filter((axis) => axis !== through) as [number, number];
  for (let k = 0; k < size; k++) {
    for (let j = 0; j < number(map.sizes, b); j++) {
      let offset = map.start + k * number(map.steps, through) + j * number(map.steps, b);
      for (let i = 0; i < number(map.sizes, a); i++, offset += number(map.steps, a)) {
        if (map.data[offset]) counts[k] = number(counts, k) + 1;
      }
    }
  }
  const most = Math.max(...counts);
  return most === 0 ? size >> 1 : counts.indexOf(most);
}

/** Calls `paint` for every pixel with the voxel index of its place on slice 0. */
function draw(volume: Canonical, view: View, paint: (offset: number, rgb: Uint8Array, at: number) => void): Picture {
  const { across, down } = view;
  const width = Math.max(1, Math.round((number(volume.sizes, across) * number(volume.spacings, across)) / PIXEL_MM));
  const height = Math.max(1, Math.round((number(volume.sizes, down) * number(volume.spacings, down)) / PIXEL_MM));
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const j = Math.min(
      number(volume.sizes, down) - 1,
      Math.floor(((height - 1 - y + 0.5) / height) * number(volume.sizes, down)),
    );
    for (let x = 0; x < width; x++) {
      const i = Math.floor(((width - 1 - x + 0.5) / width) * number(volume.sizes, across));
      const offset = volume.start + j * number(volume.steps, down) + i * number(volume.steps, across);
      paint(offset, rgb, 3 * (y * width + x));
    }
  }
  return { width, height, rgb };
}

function drawSlice(scan: Canonical, map: Canonical, view: View, slice: number): Picture {
  const step = number(scan.steps, view.through) * slice;
  const [low, high] = WINDOW_HU;
  return draw(scan, view, (offset, rgb, at) => {
    const hu = Number(scan.data[offset + step]);
    const grey = Math.max(0, Math.min(255, (255 * (hu - low)) / (high - low)));
    const colour = COLOURS[Number(map.data[offset + step]) - 1];
    for (let c = 0; c < 3; c++) rgb[at + c] = colour ? 0.35 * grey + 0.65 * (colour[c] ?? 0) : grey;
  });
}

function drawProjection(map: Canonical, view: View): Picture {
  const depth = number(map.sizes, view.through);
  const step = number(map.steps, view.through);
  const towardsViewer = view.through === 1;
  return draw(map, view, (offset, rgb, at) => {
    for (let k = 0; k < depth; k++) {
      const place = towardsViewer ? depth - 1 - k : k;
      const colour = COLOURS[Number(map.data[offset + place * step]) - 1];
      if (!colour) continue;
      const light = 1 - (0.65 * k) / depth;
      for (let c = 0; c < 3; c++) rgb[at + c] = light * (colour[c] ?? 0);
      return;
    }
  });
}

function row(pictures: Picture[]): Picture {
  const height = Math.max(...pictures.map((picture) => picture.height));
  const width = pictures.reduce((sum, picture) => sum + picture.width + GAP, -GAP);
  const rgb = new Uint8Array(3 * width * height);
  let left = 0;
  for (const picture of pictures) {
    const top = (height - picture.height) >> 1;
    for (let y = 0; y < picture.height; y++) {
      rgb.set(picture.rgb.subarray(3 * y * picture.width, 3 * (y + 1) * picture.width), 3 * ((top + y) * width + left));
    }
    left += picture.width + GAP;
  }
  return { width, height, rgb };
}

function stack(rows: Picture[]): Uint8Array {
  const width = Math.max(...rows.map((picture) => picture.width));
  const height = rows.reduce((sum, picture) => sum + picture.height + GAP, -GAP);
  const rgb = new Uint8Array(3 * width * height);
  let top = 0;
  for (const picture of rows) {
    for (let y = 0; y < picture.height; y++) {
      rgb.set(picture.rgb.subarray(3 * y * picture.width, 3 * (y + 1) * picture.width), 3 * (top + y) * width);
    }
    top += picture.height + GAP;
  }
  return encode({ width, height, data: rgb, channels: 3, depth: 8 });
}
