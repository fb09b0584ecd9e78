import type { Volume } from '../../types.js';

/** A part of a scan, thinned out to whole multiples of its voxels. */
export interface Part {
  /** First voxel, `[z, y, x]`. */
  start: [number, number, number];
  /** Voxels of the thinned part, `[z, y, x]`. */
  shape: [number, number, number];
  /** Voxels of the scan in one of the part's, `[z, y, x]`. */
  step: [number, number, number];
}

/** HU beyond which nobody looks, and the steps in which values are kept: those pack to a third. */
const LOWEST_HU = -1024;
const HIGHEST_HU = 1500;
const STEP_HU = 8;

/** The part of a scan around its labels, thinned out along its finest axes until it has at most so many voxels. */
export function partOf(labels: Volume, marginMm: number, mostVoxels: number): Part {
  const { shape, spacingMm } = labels;
  const box = boxOf(labels);
  const low = shape.map((_, axis) => Math.max(0, at(box.low, axis) - Math.ceil(marginMm / at(spacingMm, axis))));
  const high = shape.map((size, axis) =>
    Math.min(size, at(box.high, axis) + 1 + Math.ceil(marginMm / at(spacingMm, axis))),
  );
  const step = [1, 1, 1];
  const sizes = () => step.map((by, axis) => Math.max(1, Math.floor((at(high, axis) - at(low, axis)) / by)));
  while (sizes().reduce((product, size) => product * size, 1) > mostVoxels) {
    const millimetres = step.map((by, axis) => by * at(spacingMm, axis));
    const finest = millimetres.indexOf(Math.min(...millimetres));
    step[finest] = at(step, finest) + 1;
  }
  return { start: triple(low), shape: triple(sizes()), step: triple(step) };
}

/** First and last voxel of what is labelled, `[z, y, x]`; of an empty map the whole of it. */
function boxOf({ data, shape }: Volume): { low: number[]; high: number[] } {
  const [nz, ny, nx] = shape;
  const low: number[] = [nz, ny, nx];
  const high: number[] = [-1, -1, -1];
  let offset = 0;
  for (let z = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, offset++) {
        if (!data[offset]) continue;
        [z, y, x].forEach((place, axis) => {
          low[axis] = Math.min(at(low, axis), place);
          high[axis] = Math.max(at(high, axis), place);
        });
      }
    }
  }
  return at(high, 0) < 0 ? { low: [0, 0, 0], high: shape.map((size) => size - 1) } : { low, high };
}

/** The scan of a part: the mean of each block, in steps of 8 HU. */
export function thinnedScan(scan: Volume, part: Part): Volume {
  const blockVoxels = part.step.reduce((product, by) => product * by, 1);
  const values = new Int16Array(part.shape.reduce((product, size) => product * size, 1));
  eachBlock(scan, part, (index, offsets) => {
    let sum = 0;
    for (const offset of offsets) sum += Number(scan.data[offset]);
    const mean = Math.min(HIGHEST_HU, Math.max(LOWEST_HU, sum / blockVoxels));
    values[index] = STEP_HU * Math.round(mean / STEP_HU);
  });
  return { ...placed(scan, part), data: values };
}

/** The labels of a part: of each block the voxel in its middle. */
export function thinnedLabels(labels: Volume, part: Part): Volume {
  const values = new Uint8Array(part.shape.reduce((product, size) => product * size, 1));
  eachBlock(labels, part, (index, offsets) => {
    values[index] = Number(labels.data[offsets[offsets.length >> 1] ?? 0]);
  });
  return { ...placed(labels, part), data: values };
}

function eachBlock(volume: Volume, part: Part, visit: (index: number, offsets: number[]) => void): void {
  const [, ny, nx] = volume.shape;
  const { start, shape, step } = part;
  const offsets = new Array<number>(step[0] * step[1] * step[2]);
  let index = 0;
  for (let z = 0; z < shape[0]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      for (let x = 0; x < shape[2]; x++, index++) {
        let count = 0;
        for (let k = 0; k < step[0]; k++) {
          for (let j = 0; j < step[1]; j++) {
            const row = (start[0] + z * step[0] + k) * ny + start[1] + y * step[1] + j;
            for (let i = 0; i < step[2]; i++) offsets[count++] = row * nx + start[2] + x * step[2] + i;
          }
        }
        visit(index, offsets);
      }
    }
  }
}

/** Where a part lies: its first voxel's middle is that of the block it stands for. */
function placed(volume: Volume, { start, shape, step }: Part): Omit<Volume, 'data'> {
  const affine = [...volume.affine];
  for (let row = 0; row < 3; row++) {
    let origin = at(volume.affine, 4 * row + 3);
    for (let axis = 0; axis < 3; axis++) {
      // Columns of an affine run x, y, z; arrays of a shape z, y, x.
      const along = at(volume.affine, 4 * row + axis);
      affine[4 * row + axis] = along * at(step, 2 - axis);
      origin += along * (at(start, 2 - axis) + (at(step, 2 - axis) - 1) / 2);
    }
    affine[4 * row + 3] = origin;
  }
  const spacingMm = triple(volume.spacingMm.map((mm, axis) => mm * at(step, axis)));
  return { shape, spacingMm, affine, ...(volume.oriented === false ? { oriented: false } : {}) };
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? 0;
}

function triple([a = 0, b = 0, c = 0]: readonly number[]): [number, number, number] {
  return [a, b, c];
}
