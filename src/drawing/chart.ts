import { Canvas, TEXT_HEIGHT, textWidth } from './canvas.js';
import type { Colour, Picture } from './slices.js';

/** A curve of a {@link Chart}. */
export interface Curve {
  name: string;
  colour: Colour;
  /** `[x, y]`, x never falling. */
  points: readonly (readonly [x: number, y: number])[];
  /** Draw a running mean, and the values themselves faintly behind it. @default false */
  smooth?: boolean;
  /** Draw a dot at each point. @default false */
  dots?: boolean;
}

/** Curves over one axis. */
export interface Chart {
  /** What is shown, with its unit. */
  title: string;
  /** What the horizontal axis counts. */
  across: string;
  /** The horizontal axis' range. */
  range: readonly [low: number, high: number];
  /** The vertical axis' range; where it is missing, the curves' own. */
  values?: readonly [low: number, high: number];
  curves: readonly Curve[];
}

const WIDTH = 620;
const HEIGHT = 330;
const [LEFT, RIGHT, TOP, BOTTOM] = [68, 16, 54, 46];
const BACKGROUND: Colour = [255, 255, 255];
const INK: Colour = [40, 40, 48];
const GREY: Colour = [110, 110, 120];
const GRID: Colour = [228, 228, 232];
/** Share of a chart's points that the running mean remembers. */
const MEMORY = 0.04;

/** Draws a chart with axes, a grid and a legend. */
export function drawChart(chart: Chart): Picture {
  const canvas = new Canvas(WIDTH, HEIGHT, BACKGROUND);
  const curves = chart.curves.filter(({ points }) => points.length > 0);
  const [low, high] = chart.values ?? extent(curves);
  const [first, last] = [chart.range[0], Math.max(chart.range[1], chart.range[0] + 1)];
  const [width, height] = [WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];
  const across = (x: number) => LEFT + (width * (x - first)) / (last - first);
  const down = (y: number) => TOP + height * (1 - (Math.min(high, Math.max(low, y)) - low) / (high - low));
  canvas.text(LEFT, 4, chart.title, INK);
  drawLegend(canvas, curves);
  const [rows, columns] = [ticks(low, high, 5), ticks(first, last, 6)];
  for (const [index, label] of inWords(rows).entries()) {
    const y = down(rows[index] ?? low);
    canvas.fill(LEFT, Math.round(y), width, 1, GRID);
    canvas.text(LEFT - 8 - textWidth(label), y - TEXT_HEIGHT / 2, label, GREY);
  }
  for (const [index, label] of inWords(columns).entries()) {
    const x = across(columns[index] ?? first);
    canvas.fill(Math.round(x), TOP, 1, height, GRID);
    const left = Math.min(x - textWidth(label) / 2, WIDTH - textWidth(label));
    canvas.text(left, HEIGHT - BOTTOM + 4, label, GREY);
  }
  canvas.fill(LEFT, TOP, 1, height, GREY);
  canvas.fill(LEFT, TOP + height, width, 1, GREY);
  canvas.text(LEFT + (width - textWidth(chart.across)) / 2, HEIGHT - TEXT_HEIGHT - 2, chart.across, GREY);
  if (curves.length === 0) canvas.text(LEFT + 12, TOP + height / 2 - TEXT_HEIGHT / 2, 'nothing yet', GREY);
  const placed = (points: Curve['points']) => points.map(([x, y]) => [across(x), down(y)] as const);
  for (const { points, colour, smooth } of curves) {
    if (smooth) canvas.line(placed(thinned(points, width)), colour, 1, 0.25);
  }
  for (const { points, colour, smooth, dots } of curves) {
    canvas.line(placed(thinned(smooth ? smoothed(points) : points, width)), colour, 2);
    if (dots) for (const point of placed(points)) canvas.line([point], colour, 7);
  }
  return canvas;
}

/** Charts in rows of two under a heading. */
export function drawCharts(heading: string, charts: readonly Chart[]): Picture {
  const rows = Math.ceil(charts.length / 2);
  const canvas = new Canvas(2 * WIDTH, rows * HEIGHT + 2 * TEXT_HEIGHT, BACKGROUND);
  canvas.text(LEFT, TEXT_HEIGHT / 2, heading, INK);
  for (const [index, chart] of charts.entries()) {
    const { rgb, width, height } = drawChart(chart);
    const [left, top] = [(index % 2) * WIDTH, 2 * TEXT_HEIGHT + Math.floor(index / 2) * HEIGHT];
    for (let y = 0; y < height; y++) {
      canvas.rgb.set(rgb.subarray(3 * y * width, 3 * (y + 1) * width), 3 * ((top + y) * canvas.width + left));
    }
  }
  return canvas;
}

function drawLegend(canvas: Canvas, curves: readonly Curve[]): void {
  let left = LEFT;
  for (const { name, colour } of curves) {
    const middle = 4 + 1.5 * TEXT_HEIGHT;
    canvas.fill(left, middle - 1, 16, 3, colour);
    canvas.text(left + 22, middle - TEXT_HEIGHT / 2, name, GREY);
    left += 40 + textWidth(name);
  }
}

/** From 0, or the least where that is below, to a little above the most. */
function extent(curves: readonly Curve[]): [low: number, high: number] {
  const values = curves.flatMap(({ points, smooth }) => (smooth ? smoothed(points) : points).map(([, y]) => y));
  const low = values.reduce((least, value) => Math.min(least, value), 0);
  const high = values.reduce((most, value) => Math.max(most, value), low);
  return [low, high > low ? high + 0.08 * (high - low) : low + 1];
}

/** Round numbers from `low` to `high`, about `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
}

/** Ticks in words, all in the same notation. */
function inWords(all: readonly number[]): string[] {
  const largest = Math.max(...all.map(Math.abs));
  const short = (value: number) => Number(value.toPrecision(6));
  if (largest >= 0.01 && largest < 1e6) return all.map((value) => String(short(value)));
  return all.map((value) => (value === 0 ? '0' : short(value).toExponential().replace('e+', 'e')));
}

/** A running mean without the bias of its start (Kingma and Ba, "Adam", ICLR 2015, section 3). */
function smoothed(points: Curve['points']): [number, number][] {
  const keep = 1 - 1 / Math.max(1, MEMORY * points.length);
  let [sum, weight] = [0, 0];
  return points.map(([x, y]) => {
    sum = keep * sum + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    return [x, sum / weight];
  });
}

/** At most two points a column: the least and the most of those that fall into it. */
function thinned(points: Curve['points'], columns: number): Curve['points'] {
  const size = Math.ceil(points.length / columns);
  if (size <= 2) return points;
  const kept: (readonly [number, number])[] = [];
  for (let at = 0; at < points.length; at += size) {
    const sorted = points.slice(at, at + size).sort(([, a], [, b]) => a - b);
    const ends = [sorted[0], sorted.at(-1)].filter((point) => point !== undefined);
    kept.push(...ends.sort(([a], [b]) => a - b));
  }
  return kept;
}
