// Linear resampling as the package does it (docs/method.md, Resampling: outer faces kept, edges held), for ceilings and
// made-up volumes.

/** Voxels after resampling from one voxel size to another, `[z, y, x]`. */
export function newShape(shape, fromMm, toMm) {
  return shape.map((size, axis) => Math.max(1, Math.round((size * fromMm[axis]) / toMm[axis])));
}

/** `data` `[z, y, x]` of `shape`, linearly resampled to `wanted`, in f32. */
export function resize(data, shape, wanted) {
  let current = { data, shape };
  for (const axis of [2, 1, 0]) current = resizeAxis(current, axis, wanted[axis]);
  return current.data;
}

function resizeAxis({ data, shape }, axis, size) {
  const old = shape[axis];
  if (old === size) return { data, shape };
  const inner = shape.slice(axis + 1).reduce((product, n) => product * n, 1);
  const outer = shape.slice(0, axis).reduce((product, n) => product * n, 1);
  const result = new Float32Array(outer * size * inner);
  for (let o = 0; o < outer; o++) {
    for (let k = 0; k < size; k++) {
      const at = Math.min(old - 1, Math.max(0, ((k + 0.5) * old) / size - 0.5));
      const low = Math.floor(at);
      const share = at - low;
      const from = (o * old + low) * inner;
      const next = low + 1 < old ? from + inner : from;
      const to = (o * size + k) * inner;
      for (let i = 0; i < inner; i++) result[to + i] = (1 - share) * data[from + i] + share * data[next + i];
    }
  }
  return { data: result, shape: shape.with(axis, size) };
}

/** The volume stretched to `shape` by nearest voxels; its outer faces stay. */
export function stretch({ data, shape, spacingMm, affine }, wanted) {
  const places = wanted.map((size, axis) =>
    Int32Array.from({ length: size }, (_, k) => Math.floor(((k + 0.5) * shape[axis]) / size)),
  );
  const result = new data.constructor(wanted[0] * wanted[1] * wanted[2]);
  let to = 0;
  for (const z of places[0]) {
    for (const y of places[1]) {
      const row = (z * shape[1] + y) * shape[2];
      for (const x of places[2]) result[to++] = data[row + x];
    }
  }
  const ratio = wanted.map((size, axis) => shape[axis] / size);
  return {
    data: result,
    shape: wanted,
    spacingMm: spacingMm.map((mm, axis) => mm * ratio[axis]),
    affine: scaled(affine, ratio),
  };
}

/** The affine after axes `[z, y, x]` got voxels `ratio` times as long with the outer faces kept. */
export function scaled(affine, ratio) {
  const result = [...affine];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      const step = affine[4 * row + column];
      const times = ratio[2 - column];
      result[4 * row + column] = step * times;
      result[4 * row + 3] += step * (0.5 * times - 0.5);
    }
  }
  return result;
}

/** A box of a volume, from `low` with `size` voxels, `[z, y, x]`. */
export function crop({ data, shape, spacingMm, affine }, low, size) {
  const result = new data.constructor(size[0] * size[1] * size[2]);
  let to = 0;
  for (let z = low[0]; z < low[0] + size[0]; z++) {
    for (let y = low[1]; y < low[1] + size[1]; y++, to += size[2]) {
      const from = (z * shape[1] + y) * shape[2] + low[2];
      result.set(data.subarray(from, from + size[2]), to);
    }
  }
  const moved = [...affine];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) moved[4 * row + 3] += affine[4 * row + column] * low[2 - column];
  }
  return { data: result, shape: size, spacingMm, affine: moved };
}
