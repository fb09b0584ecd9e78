import { ticks } from '../../drawing/chart.js';
import type { ScoreDescription } from '../../scores.js';
import type { Interval } from '../../statistics/bootstrap.js';
import { meanOf } from '../../statistics/mean.js';
import { quantile } from '../../statistics/quantile.js';
import { html, type Markup, NOTHING } from '../html.js';
import { valueText } from './numbers.js';

/** A row of a {@link stripPlot}: the values of one target, and of one model. */
export interface PlotRow {
  label: string;
  /** Colour: the first or the second model. */
  model: 1 | 2;
  points: { name: string; value: number }[];
  /** The mean's confidence interval. */
  interval: Interval | null;
}

const WIDTH = 760;
const [LEFT, RIGHT, TOP, BOTTOM] = [190, 20, 8, 26];
const ROW = 40;
/** Up to so many points have a title that names their case; more are one path. */
const NAMED_POINTS = 150;

/** Values as dots, their box, and their mean with its interval, a row below the other, over one axis. */
export function stripPlot(rows: PlotRow[], description: ScoreDescription, zero = false): Markup {
  const height = TOP + rows.length * ROW + BOTTOM;
  const [low, high] = extent(rows, zero);
  const across = (value: number) => LEFT + ((WIDTH - LEFT - RIGHT) * (value - low)) / (high - low);
  const marks = ticks(low, high, 6).map((value) => {
    const x = fixed(across(value));
    return html`<line class="grid" x1="${x}" x2="${x}" y1="${TOP}" y2="${height - BOTTOM}"/>
<text class="tick" x="${x}" y="${height - BOTTOM + 16}" text-anchor="middle">${tickText(value, description)}</text>`;
  });
  const line = zero
    ? html`<line class="zero" x1="${fixed(across(0))}" x2="${fixed(across(0))}" y1="${TOP}" y2="${height - BOTTOM}"/>`
    : NOTHING;
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${description.title} by case">
${marks}${line}${rows.map((row, index) => drawRow(row, TOP + index * ROW, across, description))}
</svg>`;
}

function drawRow(row: PlotRow, top: number, across: (value: number) => number, description: ScoreDescription): Markup {
  const middle = top + ROW / 2 - 4;
  const values = row.points.map(({ value }) => value).sort((a, b) => a - b);
  const label = html`<text class="label" x="${LEFT - 12}" y="${middle + 4}" text-anchor="end">${row.label}</text>`;
  if (values.length === 0) return html`${label}<text class="tick" x="${LEFT + 6}" y="${middle + 4}">no value</text>`;
  return html`<g class="m${row.model}">${label}${drawBox(values, middle, across)}
${drawDots(row, middle, across, description)}
${drawMean(values, row.interval, top + ROW - 7, across)}</g>`;
}

/** Quartiles, median, and whiskers to the last value within 1.5 times the box (Tukey, 1977). */
function drawBox(values: number[], middle: number, across: (value: number) => number): Markup {
  const [q1, median, q3] = [0.25, 0.5, 0.75].map((share) => quantile(values, share)) as [number, number, number];
  const reach = 1.5 * (q3 - q1);
  const [low = q1, high = q3] = [
    values.find((value) => value >= q1 - reach),
    values.findLast((value) => value <= q3 + reach),
  ];
  const x = (value: number) => fixed(across(value));
  return html`<path class="whisker" d="M${x(low)} ${middle}H${x(q1)}M${x(q3)} ${middle}H${x(high)}"/>
<rect class="box" x="${x(q1)}" y="${middle - 10}" width="${fixed(Math.max(1, across(q3) - across(q1)))}" height="20"/>
<path class="median" d="M${x(median)} ${middle - 10}v20"/>`;
}

function drawDots(
  { points }: PlotRow,
  middle: number,
  across: (value: number) => number,
  description: ScoreDescription,
): Markup {
  // The golden ratio spreads neighbours apart, the same way each time.
  const placed = points.map(({ name, value }, index) => ({
    x: fixed(across(value)),
    y: fixed(middle + 14 * (((index * 0.618034) % 1) - 0.5)),
    title: `${name}: ${valueText(value, description)}`,
  }));
  if (placed.length > NAMED_POINTS) {
    return html`<path class="dots" d="${placed.map(({ x, y }) => `M${x} ${y}h0`).join('')}"/>`;
  }
  const dots = placed.map(
    ({ x, y, title }) => html`<circle cx="${x}" cy="${y}" r="2.8"><title>${title}</title></circle>`,
  );
  return html`<g class="dot">${dots}</g>`;
}

function drawMean(values: number[], interval: Interval | null, y: number, across: (value: number) => number): Markup {
  const x = across(meanOf(values) ?? 0);
  const bar = interval
    ? html`<path class="interval" d="M${fixed(across(interval.low))} ${y}H${fixed(across(interval.high))}"/>`
    : NOTHING;
  return html`${bar}<path class="mean" d="M${fixed(x - 4)} ${y}l4 -4l4 4l-4 4Z"/>`;
}

/** The range of all values and intervals, with a margin. */
function extent(rows: PlotRow[], zero: boolean): [low: number, high: number] {
  const ends = rows.flatMap(({ points, interval }) => [
    ...points.map(({ value }) => value),
    ...(interval ? [interval.low, interval.high] : []),
  ]);
  if (zero || ends.length === 0) ends.push(0);
  const low = ends.reduce((least, value) => Math.min(least, value));
  const high = ends.reduce((most, value) => Math.max(most, value));
  const margin = high > low ? 0.05 * (high - low) : Math.max(0.05, 0.05 * Math.abs(high));
  return [low - margin, high + margin];
}

function tickText(value: number, { unit }: ScoreDescription): string {
  const short = Number(value.toPrecision(6));
  return unit === '' || Math.abs(short) < 10_000 ? String(short).replace('-', '−') : valueText(short, SHORT);
}

const SHORT: ScoreDescription = { name: '', title: '', unit: 'voxels', better: null, group: null };

function fixed(value: number): string {
  return value.toFixed(1);
}
