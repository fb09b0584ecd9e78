import { Canvas, TEXT_HEIGHT } from '../drawing/canvas.js';
import { type Colour, number, png } from '../drawing/slices.js';
import type { MeasuredTree } from '../tree.js';

/** Arteries blue, veins red, as textbooks of the lung draw them; then what else there may be. */
const COLOURS: readonly Colour[] = [
  [70, 130, 235],
  [225, 70, 60],
  [240, 180, 40],
  [90, 190, 110],
  [190, 110, 220],
  [90, 200, 210],
];
const LOOSE: Colour = [150, 150, 150];
const LOOP: Colour = [255, 255, 255];
const BACKGROUND: Colour = [18, 18, 22];
const PIXELS_A_MM = 2.4;
const MOST_PIXELS = 1400;
const MARGIN = 16;

type Extents = [[number, number], [number, number], [number, number]];

/** Across and down the picture, and towards the reader: RAS axes and their signs. */
const VIEWS = [
  { title: 'from the front', across: [0, -1], down: [2, -1], depth: [1, 1] },
  { title: 'from the left', across: [1, -1], down: [2, -1], depth: [0, -1] },
] as const;

/**
 * Draws trees as PNG, each branch as wide as it is: seen from the front, with the patient's right at the left, and from
 * the patient's left. Loose pieces are grey, places where a loop was cut white.
 */
export function drawTrees(trees: readonly MeasuredTree[]): Uint8Array {
  const points = trees.flatMap(({ branches }) => branches.flatMap((branch) => branch.points));
  const extent = [0, 1, 2].map((axis) => range(points.map((point) => number(point, axis))));
  const size = ([low, high]: readonly [number, number]) => high - low;
  const [x, y, z] = [0, 1, 2].map((axis) => extent[axis] ?? [0, 0]) as Extents;
  const scale = Math.min(PIXELS_A_MM, MOST_PIXELS / Math.max(size(x) + size(y), size(z), 1));
  const widths = [size(x), size(y)].map((mm) => Math.ceil(mm * scale) + 2 * MARGIN);
  const height = Math.ceil(size(z) * scale) + 2 * MARGIN + TEXT_HEIGHT;
  const canvas = new Canvas(number(widths, 0) + number(widths, 1), height, BACKGROUND);
  let left = 0;
  for (const [index, view] of VIEWS.entries()) {
    const place = (point: readonly number[]): [number, number] => {
      const along = ([axis, sign]: readonly [number, number]) => {
        const [low, high] = extent[axis] ?? [0, 0];
        const value = number([...point], axis);
        return (sign > 0 ? value - low : high - value) * scale + MARGIN;
      };
      return [left + along(view.across), along(view.down) + TEXT_HEIGHT];
    };
    drawView(canvas, trees, place, view.depth, scale);
    canvas.text(left + MARGIN, 4, view.title, [200, 200, 200]);
    left += number(widths, index);
  }
  legend(canvas, trees);
  return png(canvas);
}

/** The farthest first, so that what is near lies over it. */
function drawView(
  canvas: Canvas,
  trees: readonly MeasuredTree[],
  place: (point: readonly number[]) => [number, number],
  [axis, sign]: readonly [number, number],
  scale: number,
): void {
  const strokes = trees.flatMap(({ branches, pieces }, index) =>
    branches.map(({ points, piece }) => ({
      points,
      colour: pieces[piece]?.isTree ? (COLOURS[index % COLOURS.length] ?? LOOSE) : LOOSE,
      depth: (sign * points.reduce((sum, point) => sum + number(point, axis), 0)) / points.length,
    })),
  );
  const depths = range(strokes.map(({ depth }) => depth));
  strokes.sort((a, b) => a.depth - b.depth);
  for (const { points, colour, depth } of strokes) {
    const near = 0.45 + (0.55 * (depth - depths[0])) / Math.max(depths[1] - depths[0], 1e-6);
    const [red, green, blue] = colour;
    const shaded: Colour = [red * near, green * near, blue * near];
    for (let k = 0; k + 1 < points.length || k === 0; k++) {
      const [from, to] = [points[k], points[k + 1] ?? points[k]];
      if (!from || !to) break;
      canvas.line([place(from), place(to)], shaded, Math.max(1, (number(from, 3) + number(to, 3)) * scale));
    }
  }
  for (const { loops } of trees) {
    for (const { atMm } of loops) canvas.line([place(atMm), place(atMm)], LOOP, 3);
  }
}

function legend(canvas: Canvas, trees: readonly MeasuredTree[]): void {
  let x = MARGIN;
  for (const [index, { name }] of trees.entries()) {
    const label = name.slice(0, 30);
    canvas.text(x, canvas.height - TEXT_HEIGHT - 2, label, COLOURS[index % COLOURS.length] ?? LOOSE);
    x += 10 * label.length + 20;
  }
}

function range(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return low <= high ? [low, high] : [0, 0];
}
