import { encode } from 'fast-png';
import type { Volume, VoxelArray } from '../types.js';

const PIXEL_MM = 0.75;
const GAP = 6;
const WINDOW_HU = [-1000, 400] as const;

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** Axes of a picture in the canonical frame: 0 left–right, 1 back–front, 2 feet–head. */
export interface View {
  across: number;
  down: number;
  through: number;
}

/** Seen from below, from the front, from the patient's left: the radiologist's three views. */
const AXIAL: View = { across: 0, down: 1, through: 2 };
const CORONAL: View = { across: 0, down: 2, through: 1 };
const SAGITTAL: View = { across: 1, down: 2, through: 0 };
export const VIEWS = [AXIAL, CORONAL, SAGITTAL];

/** A volume with its axes named: `steps[a]` is the way along canonical axis `a`, starting at `start`. */
export interface Canonical {
  data: VoxelArray;
  sizes: number[];
  steps: number[];
  spacings: number[];
  start: number;
}

export interface Picture {
  width: number;
  height: number;
  rgb: Uint8Array;
}

/** Names a volume's axes by where its affine says they point. */
export function canonical(volume: Volume): Canonical {
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
  return {
    data: volume.data,
    sizes: axes.map(({ axis }) => number(counts, axis)),
    steps: axes.map(({ axis, flipped }) => (flipped ? -1 : 1) * number(strides, axis)),
    spacings: axes.map(({ axis }) => number(spacing, axis)),
    start: axes.reduce(
      (sum, { axis, flipped }) => sum + (flipped ? (number(counts, axis) - 1) * number(strides, axis) : 0),
      0,
    ),
  };
}

/** Calls `paint` for every pixel of `pixelMm` with the voxel index of its place on slice 0. */
export function draw(
  volume: Canonical,
  view: View,
  paint: (offset: number, rgb: Uint8Array, at: number) => void,
  pixelMm = PIXEL_MM,
): Picture {
  const { across, down } = view;
  const width = Math.max(1, Math.round((number(volume.sizes, across) * number(volume.spacings, across)) / pixelMm));
  const height = Math.max(1, Math.round((number(volume.sizes, down) * number(volume.spacings, down)) / pixelMm));
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

/** Hounsfield units as a grey level, 0 to 255. */
export function grey(hu: number): number {
  const [low, high] = WINDOW_HU;
  return Math.max(0, Math.min(255, (255 * (hu - low)) / (high - low)));
}

/** Pictures side by side. */
export function row(pictures: Picture[]): Picture {
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

/** A picture as PNG. */
export function png({ width, height, rgb }: Picture): Uint8Array {
  return encode({ width, height, data: rgb, channels: 3, depth: 8 });
}

/** Pictures below each other, as PNG. */
export function stack(rows: Picture[]): Uint8Array {
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
  return png({ width, height, rgb });
}

/** `list[index]`, which is there. */
export function number(list: number[], index: number): number {
  return list[index] ?? 0;
}
