// The 48 ways to store one volume: every order of the axes, every choice of directions.

/** All of them, `{ axes, flips }`: new axis `a` runs along old axis `axes[a]`, backwards where `flips[a]`. */
export function allOrientations() {
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  const signs = Array.from({ length: 8 }, (_, bits) => [0, 1, 2].map((axis) => ((bits >> axis) & 1) === 1));
  return orders.flatMap((axes) => signs.map((flips) => ({ axes, flips })));
}

/** The same scan stored in another order. */
export function reoriented({ data, shape, spacingMm, affine }, { axes, flips }) {
  const result = new data.constructor(data.length);
  visit(shape, { axes, flips }, (to, from) => {
    result[to] = data[from];
  });
  const moved = [...affine];
  for (let row = 0; row < 3; row++) {
    for (let axis = 0; axis < 3; axis++) {
      const step = affine[4 * row + 2 - axes[axis]];
      moved[4 * row + 2 - axis] = flips[axis] ? -step : step;
      if (flips[axis]) moved[4 * row + 3] += step * (shape[axes[axis]] - 1);
    }
  }
  return {
    data: result,
    shape: axes.map((axis) => shape[axis]),
    spacingMm: axes.map((axis) => spacingMm[axis]),
    affine: moved,
  };
}

/** Labels of a reoriented scan, back in the order of the scan of `shape`. */
export function restored(labels, shape, orientation) {
  const result = new Uint8Array(labels.length);
  visit(shape, orientation, (to, from) => {
    result[from] = labels[to];
  });
  return result;
}

/** Calls `each(new index, old index)` for every voxel. */
function visit(shape, { axes, flips }, each) {
  const strides = [shape[1] * shape[2], shape[2], 1];
  const sizes = axes.map((axis) => shape[axis]);
  const steps = axes.map((axis, at) => (flips[at] ? -strides[axis] : strides[axis]));
  const start = axes.reduce((sum, axis, at) => sum + (flips[at] ? (shape[axis] - 1) * strides[axis] : 0), 0);
  let to = 0;
  for (let z = 0; z < sizes[0]; z++) {
    for (let y = 0; y < sizes[1]; y++) {
      let from = start + z * steps[0] + y * steps[1];
      for (let x = 0; x < sizes[2]; x++, from += steps[2]) each(to++, from);
    }
  }
}
