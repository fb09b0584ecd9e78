import {
  type Canonical,
  canonical,
  draw,
  grey,
  number,
  type Picture,
  row,
  stack,
  VIEWS,
  type View,
} from '../drawing/slices.js';
import { COLOURS } from '../labels.js';
import type { Volume } from '../types.js';

/**
 * Draws a scan and its labels as PNG: above, the three slices with most label; below, projections of the labels, near
 * ones bright. The patient's right is at the picture's left.
 */
export function preview(ct: Volume, labels: Volume): Uint8Array {
  const scan = canonical(ct);
  const map = canonical(labels);
  const slices = VIEWS.map((view) => drawSlice(scan, map, view, fullestSlice(map, view.through)));
  const projections = VIEWS.map((view) => drawProjection(map, view));
  return stack([row(slices), row(projections)]);
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

function drawSlice(scan: Canonical, map: Canonical, view: View, slice: number): Picture {
  const step = number(scan.steps, view.through) * slice;
  return draw(scan, view, (offset, rgb, at) => {
    const level = grey(Number(scan.data[offset + step]));
    const colour = COLOURS[Number(map.data[offset + step]) - 1];
    for (let c = 0; c < 3; c++) rgb[at + c] = colour ? 0.35 * level + 0.65 * (colour[c] ?? 0) : level;
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
