import { basename, resolve } from 'node:path';
import type { Comparison } from '../../evaluate/compare.js';
import { type Evaluation, failedCases, scoredCases } from '../../evaluate/result.js';
import type { Warning } from '../../types.js';
import { html, Markup, NOTHING } from '../html.js';
import { STYLE } from '../style.js';
import { short, valueText } from './numbers.js';
import { PREDICTED, REFERENCE } from './overlay.js';
import { caseTable, comparisonTable, meanTable, problems } from './page-tables.js';
import type { CasePicture } from './pictures.js';
import { type PlotRow, stripPlot } from './plots.js';
import { ranked, rankingScore } from './ranking.js';

/** What a page shows. */
export interface Page {
  evaluation: Evaluation;
  /** A second model, and the comparison with it. */
  against: Evaluation | undefined;
  comparison: Comparison | undefined;
  pictures: CasePicture[];
  warnings: Warning[];
}

/** What may be loaded: nothing but what the page itself holds. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/** One page without links to anything: tables, distributions, worst cases first, with their pictures. */
export function reportPage(page: Page): string {
  const { evaluation, against, comparison } = page;
  const names = modelNames(evaluation, against);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation of ${names[0]}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
${heading(page, names)}
${problems(page)}
<h2>Means</h2>
${meanTable(evaluation, names[0])}
${against ? meanTable(against, names[1]) : NOTHING}
${comparison ? html`<h2>Comparison</h2>${comparisonTable(comparison, names)}` : NOTHING}
${worstCases(page)}
<h2>Distributions</h2>
<p class="soft">Dots are cases; the box holds the middle half of them, its line is the median, whiskers reach to the
last case within 1.5 times the box. The diamond is the mean with its ${percent(evaluation)} interval.</p>
${distributions(page, names)}
${comparison ? differences(page, names) : NOTHING}
<h2>Cases</h2>
${caseTable(evaluation)}
<h2>How this was computed</h2>
${notes(page)}
</body>
</html>
`.text;
}

function heading({ evaluation, against }: Page, names: ModelNames): Markup {
  const { cases } = evaluation;
  const failed = failedCases(evaluation).length;
  const count = html`${scoredCases(evaluation).length} of ${cases.length} cases scored`;
  const other = against ? html` against <span class="two">${names[1]}</span>` : NOTHING;
  const also = against ? html`, against <code>${against.pred}</code>` : NOTHING;
  return html`<h1><span class="${against ? 'one' : ''}">${names[0]}</span>${other}</h1>
<p>${count}${failed > 0 ? html`, <span class="bad">${failed} not</span>` : NOTHING}.</p>
<p class="soft">Predictions <code>${evaluation.pred}</code>${also}, references <code>${evaluation.ref}</code>.</p>`;
}

function worstCases({ evaluation, pictures, against }: Page): Markup {
  const score = rankingScore(evaluation);
  if (pictures.length === 0 || !score) return NOTHING;
  const values = new Map(ranked(evaluation).map(({ one, value }) => [one.name, { one, value }]));
  const figures = pictures.map(({ name, pngs }) => {
    const found = values.get(name);
    const rows = found ? Object.entries(found.one.scores) : [];
    const told = rows.map(([target, row]) => `${target} ${valueText(row[score.name], score)}`).join(', ');
    const images = pngs.map(
      (
        png,
        index,
      ) => html`<img alt="${name}: outlines of ${index === 0 ? 'the prediction' : 'the other model'} and the reference"
src="data:image/png;base64,${Buffer.from(png).toString('base64')}">`,
    );
    return html`<h3>${name}</h3><figure><figcaption>${score.title}: ${told}</figcaption>${images}</figure>`;
  });
  return html`<h2>Worst cases</h2>
<p class="soft">Ranked by the mean ${score.title} of all targets. An axial, a coronal and a sagittal slice,
those that differ most; the patient's right is at the left.
${against ? ' Above the first model, below the second.' : ''}</p>
<p class="keys">${key('predicted artery', PREDICTED[0])}${key('predicted vein', PREDICTED[1])}
${key('reference artery', REFERENCE[0])}${key('reference vein', REFERENCE[1])}</p>
${figures}`;
}

function key(name: string, colour: readonly number[] | undefined): Markup {
  return html`<span><i class="key" style="border-color: rgb(${(colour ?? []).join(' ')})"></i>${name}</span>`;
}

type ModelNames = [first: string, second: string];

/** The folders' own names; where both have the same, with the folder above. */
function modelNames({ pred }: Evaluation, against: Evaluation | undefined): ModelNames {
  const name = (path: string) => basename(resolve(path));
  if (!against || name(pred) !== name(against.pred)) return [name(pred), name(against?.pred ?? pred)];
  return [pred, against.pred];
}

/** A chart for each score of which it is known what is better. */
function distributions({ evaluation, against }: Page, names: ModelNames): Markup[] {
  const targets = Object.keys(evaluation.mean);
  return plotted(evaluation).map((score) => {
    const rows = targets.flatMap((target) => {
      const row = (of: Evaluation, model: 1 | 2): PlotRow => ({
        label: against ? `${target}, ${short(names[model - 1] ?? '')}` : target,
        model,
        points: pointsOf(of, target, score.name),
        interval: of.intervals[target]?.[score.name] ?? null,
      });
      return [row(evaluation, 1), ...(against ? [row(against, 2)] : [])];
    });
    const unit = score.unit ? html` <span class="soft">(${score.unit})</span>` : NOTHING;
    return html`<h3>${score.title}${unit}${direction(score.better)}</h3>
${stripPlot(rows, score)}`;
  });
}

/** A chart for each such score of what the first model has more than the second. */
function differences({ evaluation, against, comparison }: Page, names: ModelNames): Markup {
  if (!against || !comparison) return NOTHING;
  const charts = plotted(evaluation).flatMap((score) => {
    const rows = Object.entries(comparison.differences).map(([target, row]): PlotRow => {
      const second = new Map(pointsOf(against, target, score.name).map(({ name, value }) => [name, value]));
      const points = pointsOf(evaluation, target, score.name).flatMap(({ name, value }) => {
        const other = second.get(name);
        return other === undefined ? [] : [{ name, value: value - other }];
      });
      return { label: target, model: 1, points, interval: row[score.name]?.interval ?? null };
    });
    return [html`<h3>${score.title}${direction(score.better)}</h3>${stripPlot(rows, score, true)}`];
  });
  return html`<h2>Differences</h2><p class="soft">${names[0]} − ${names[1]}, case by case.</p>${charts}`;
}

function direction(better: 'higher' | 'lower' | null): Markup {
  return better ? html` <span class="soft">${better} is better</span>` : NOTHING;
}

function plotted(evaluation: Evaluation) {
  const rows = scoredCases(evaluation).flatMap(({ scores }) => Object.values(scores));
  return evaluation.scores.filter(
    ({ name, better }) => better !== null && rows.some((row) => typeof row[name] === 'number'),
  );
}

function pointsOf(evaluation: Evaluation, target: string, score: string): PlotRow['points'] {
  return scoredCases(evaluation).flatMap(({ name, scores }) => {
    const value = scores[target]?.[score];
    return typeof value === 'number' ? [{ name, value }] : [];
  });
}

function percent({ bootstrap }: Evaluation): string {
  return `${Number((100 * bootstrap.level).toPrecision(3))} %`;
}

function notes({ evaluation, comparison }: Page): Markup {
  const { draws, seed, level } = evaluation.bootstrap;
  const tests = comparison
    ? html`<p>Differences are paired by case. p: Wilcoxon's signed-rank test, two-sided, exact for up to 25 cases
without ties and zeros, else by its normal limit with the correction for ties. The p-values are not
corrected for their number. A model is called better where the interval is without 0 and p is below ${Number((1 - level).toPrecision(3))}.</p>`
    : NOTHING;
  return html`<p>Means are over the cases in which a score is defined: a score of two empty masks is not. Intervals
(${percent(evaluation)}) are bootstrap intervals over the cases, bias-corrected and accelerated (Efron 1987), of
${draws} draws with seed ${seed}; a score that fewer than two cases have has none.</p>${tests}`;
}
