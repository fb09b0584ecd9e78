// Euclidean distances in mm and connected components.

/** Distance of each voxel from the nearest that holds; `axes` 2 measures within slices only. */
export function distanceMm(holds, shape, spacingMm, axes = 3) {
  const far = 1e12;
  const squared = new Float32Array(shape[0] * shape[1] * shape[2]);
  for (let i = 0; i < squared.length; i++) squared[i] = holds(i) ? 0 : far;
  const strides = [shape[1] * shape[2], shape[2], 1];
  sweepRows(squared, shape[2], spacingMm[2]);
  for (const axis of axes === 3 ? [1, 0] : [1]) sweep(squared, shape, strides, axis, spacingMm[axis]);
  for (let i = 0; i < squared.length; i++) squared[i] = Math.sqrt(squared[i]);
  return squared;
}

/** Along rows the nearest is the last one seen from either end. */
function sweepRows(squared, width, stepMm) {
  for (let start = 0; start < squared.length; start += width) {
    for (let x = 1, steps = 1e6; x < width; x++) {
      steps = squared[start + x - 1] === 0 ? 1 : steps + 1;
      if (squared[start + x] !== 0) squared[start + x] = Math.min(1e12, (steps * stepMm) ** 2);
    }
    for (let x = width - 2, steps = 1e6; x >= 0; x--) {
      steps = squared[start + x + 1] === 0 ? 1 : steps + 1;
      squared[start + x] = Math.min(squared[start + x], (steps * stepMm) ** 2);
    }
  }
}

/** Lower envelope of parabolas along one axis (Felzenszwalb and Huttenlocher). */
function sweep(squared, shape, strides, axis, stepMm) {
  const size = shape[axis];
  const [line, places, bounds] = [new Float64Array(size), new Int32Array(size), new Float64Array(size + 1)];
  const stride = strides[axis];
  const [a, b] = [0, 1, 2].filter((other) => other !== axis);
  const step2 = stepMm * stepMm;
  for (let i = 0; i < shape[a]; i++) {
    for (let j = 0; j < shape[b]; j++) {
      const start = i * strides[a] + j * strides[b];
      let known = false;
      for (let k = 0; k < size; k++) {
        line[k] = squared[start + k * stride] / step2;
        if (line[k] < 1e11) known = true;
      }
      if (!known) continue;
      let top = 0;
      places[0] = 0;
      bounds[0] = -Infinity;
      bounds[1] = Infinity;
      for (let k = 1; k < size; k++) {
        let cut = meet(line, k, places[top]);
        while (cut <= bounds[top]) cut = meet(line, k, places[--top]);
        places[++top] = k;
        bounds[top] = cut;
        bounds[top + 1] = Infinity;
      }
      for (let k = 0, at = 0; k < size; k++) {
        while (bounds[at + 1] < k) at++;
        const gap = k - places[at];
        squared[start + k * stride] = Math.min(1e12, (gap * gap + line[places[at]]) * step2);
      }
    }
  }
}

function meet(line, k, before) {
  return (line[k] + k * k - line[before] - before * before) / (2 * k - 2 * before);
}

/** Face-connected components of what holds: `labels` from 1 and `sizes` by label. */
export function components(holds, shape) {
  const labels = new Int32Array(shape[0] * shape[1] * shape[2]);
  const sizes = [0];
  const stack = [];
  const [slice, width] = [shape[1] * shape[2], shape[2]];
  for (let seed = 0; seed < labels.length; seed++) {
    if (labels[seed] !== 0 || !holds(seed)) continue;
    const label = sizes.length;
    sizes.push(0);
    labels[seed] = label;
    stack.push(seed);
    while (stack.length > 0) {
      const at = stack.pop();
      sizes[label] += 1;
      const x = at % width;
      const y = Math.floor(at / width) % shape[1];
      const z = Math.floor(at / slice);
      const reach = (next) => {
        if (labels[next] !== 0 || !holds(next)) return;
        labels[next] = label;
        stack.push(next);
      };
      if (x > 0) reach(at - 1);
      if (x + 1 < width) reach(at + 1);
      if (y > 0) reach(at - width);
      if (y + 1 < shape[1]) reach(at + width);
      if (z > 0) reach(at - slice);
      if (z + 1 < shape[0]) reach(at + slice);
    }
  }
  return { labels, sizes };
}

/** The mask with everything that it encloses within each slice. */
export function filledSlices(mask, shape) {
  const area = shape[1] * shape[2];
  const result = new Uint8Array(mask.length);
  for (let z = 0; z < shape[0]; z++) {
    const slice = mask.subarray(z * area, (z + 1) * area);
    const { labels } = components((i) => slice[i] === 0, [1, shape[1], shape[2]]);
    const outside = new Set();
    for (let x = 0; x < shape[2]; x++) outside.add(labels[x]).add(labels[area - 1 - x]);
    for (let y = 0; y < shape[1]; y++) outside.add(labels[y * shape[2]]).add(labels[(y + 1) * shape[2] - 1]);
    for (let i = 0; i < area; i++) result[z * area + i] = slice[i] !== 0 || !outside.has(labels[i]) ? 1 : 0;
  }
  return result;
}
