import type { Chart, Curve } from '../drawing/chart.js';
import { drawCharts } from '../drawing/chart.js';
import { type Colour, png } from '../drawing/slices.js';
import type { LoggedEvent } from './logged.js';
import { CLASSES, scalarsOf, stepsTaken } from './scalars.js';

const DARK: Colour = [50, 50, 60];
const BLUE: Colour = [40, 110, 230];
const RED: Colour = [215, 60, 50];
const GREY: Colour = [140, 140, 150];
/** For what has no colour of its own. */
const OTHERS: readonly Colour[] = [
  [30, 150, 110],
  [230, 140, 20],
  [140, 90, 200],
  [190, 80, 140],
];
const OF_CLASS: Record<(typeof CLASSES)[number], Colour> = { background: GREY, artery: BLUE, vein: RED };

/** Draws how a run has gone so far, as PNG: losses, scores, learning rate, gradients, and its teacher. */
export function drawProgress(events: readonly LoggedEvent[], steps: number | null): Uint8Array {
  const series = seriesOf(events);
  const taken = events.reduce((most, event) => Math.max(most, stepsTaken(event)), 0);
  const points = (tag: string) => series.get(tag) ?? [];
  const range = [0, steps ?? taken] as const;
  const chart = (title: string, curves: Curve[], values?: Chart['values']): Chart => {
    return { title, across: 'steps taken', range, curves, ...(values && { values }) };
  };
  const byClass = (tag: string, smooth: boolean): Curve[] =>
    CLASSES.map((name) => ({ name, colour: OF_CLASS[name], points: points(`${tag}/${name}`), smooth }));
  const terms = [...series.keys()].filter((tag) => tag.startsWith('train/terms/'));
  const weight = { name: 'weight', colour: DARK, points: points('teacher/weight') };
  const charts = [
    chart('Loss: total, and its terms before their weights (running means)', [
      { name: 'total', colour: DARK, points: points('train/loss'), smooth: true },
      ...terms.map((tag, index) => {
        const colour = OTHERS[index % OTHERS.length] ?? GREY;
        return { name: tag.slice('train/terms/'.length), colour, points: points(tag), smooth: true };
      }),
    ]),
    chart('Validation: mean Dice (0 to 1)', dice(series), [0, 1]),
    chart('Learning rate', [{ name: 'learning rate', colour: DARK, points: points('lr') }]),
    chart('Gradient norm before clipping (running mean)', [
      { name: 'gradient norm', colour: DARK, points: points('train/gradient_norm'), smooth: true },
    ]),
  ];
  if (weight.points.length > 0) {
    charts.push(
      chart(
        'Teacher: weight, and thresholds of its probability',
        [weight, ...byClass('teacher/threshold', false)],
        [0, 1],
      ),
      chart('Teacher: share of voxels accepted (running means)', byClass('teacher/accepted', true), [0, 1]),
    );
  }
  const scores = lastScores(points('validation/dice/artery'), points('validation/dice/vein'));
  return png(drawCharts(`After ${taken}${steps === null ? '' : ` of ${steps}`} steps${scores}`, charts));
}

type Points = [step: number, value: number][];

/** Values of each tag by step; of those for one step, the last. */
function seriesOf(events: readonly LoggedEvent[]): Map<string, Points> {
  const series = new Map<string, Points>();
  for (const event of events) {
    for (const [tag, value] of scalarsOf(event)) {
      const points = series.get(tag) ?? [];
      if (points.length === 0) series.set(tag, points);
      if (points.at(-1)?.[0] === stepsTaken(event)) points.pop();
      points.push([stepsTaken(event), value]);
    }
  }
  return series;
}

function dice(series: Map<string, Points>): Curve[] {
  return (['artery', 'vein'] as const).map((name) => {
    return { name, colour: OF_CLASS[name], points: series.get(`validation/dice/${name}`) ?? [], dots: true };
  });
}

/** The last scores in words. */
function lastScores(artery: Points, vein: Points): string {
  const told = Object.entries({ artery, vein }).flatMap(([name, points]) => {
    const last = points.at(-1);
    return last ? [`${name} ${last[1].toFixed(3)}`] : [];
  });
  return told.length === 0 ? '' : `. Dice of the last validation: ${told.join(', ')}`;
}
