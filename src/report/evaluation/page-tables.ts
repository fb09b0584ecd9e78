import { betterOne, type Comparison, isTelling, type ScoreComparison } from '../../evaluate/compare.js';
import { type Evaluation, failedCases, scoredCases } from '../../evaluate/result.js';
import { known } from '../../evaluate/statistics.js';
import type { ScoreDescription } from '../../scores.js';
import { html, type Markup, NOTHING } from '../html.js';
import { differenceText, pText, short, valueText } from './numbers.js';
import type { Page } from './page.js';
import { ranked } from './ranking.js';

/** So many of the worst cases are in the table; all of them are in the CSV file. */
const LISTED_CASES = 100;

/** What went wrong: cases without scores, files without partners, pictures that could not be drawn. */
export function problems({ evaluation, against, comparison, warnings }: Page): Markup {
  const failures = [evaluation, ...(against ? [against] : [])].flatMap(failureTable);
  const left = [
    ...(comparison?.onlyFirst ?? []).map((name) => html`<li>${name}: the first model alone has scores of it</li>`),
    ...(comparison?.onlySecond ?? []).map((name) => html`<li>${name}: the second model alone has scores of it</li>`),
  ];
  const listed = left.length > 0 ? html`<p>Left out of the comparison:</p><ul>${left}</ul>` : NOTHING;
  const told = warnings.map(({ message }) => html`<p>${message}</p>`);
  if (failures.length + left.length + told.length === 0) return NOTHING;
  return html`<div class="note">${failures}${listed}${told}</div>`;
}

function failureTable(evaluation: Evaluation): Markup[] {
  const rows = failedCases(evaluation).map(
    ({ name, error }) => html`<tr><td class="words">${name}</td><td class="words"><code>${error.code}</code></td>
<td class="words">${error.message}</td></tr>`,
  );
  if (rows.length === 0) return [];
  return [
    html`<div class="scroll"><table><caption>Not scored, of ${evaluation.pred}; the means are without them</caption>
<tr><th>Case</th><th class="words">Code</th><th class="words">Why</th></tr>${rows}</table></div>`,
  ];
}

/** Means with their intervals: a row a score, a column a target. */
export function meanTable(evaluation: Evaluation, model: string): Markup {
  const all = scoredCases(evaluation).map(({ scores }) => scores);
  const mean = evaluation.mean;
  const targets = Object.keys(mean);
  const cell = (score: ScoreDescription, target: string) => {
    const values = known(all, target, score.name);
    const interval = evaluation.intervals[target]?.[score.name];
    const range = interval ? `[${valueText(interval.low, score)}, ${valueText(interval.high, score)}]` : '';
    const count = values.length < all.length && values.length > 0 ? ` n = ${values.length}` : '';
    return html`<td>${valueText(mean[target]?.[score.name], score)} <small>${range}${count}</small></td>`;
  };
  const rows = evaluation.scores
    .filter(({ name }) => targets.some((target) => typeof mean[target]?.[name] === 'number'))
    .map((score) => html`<tr><td>${titled(score)}</td>${targets.map((target) => cell(score, target))}</tr>`);
  return html`<div class="scroll"><table><caption>${model}: mean and interval over ${all.length} cases</caption>
<tr><th>Score</th>${targets.map((target) => html`<th>${target}</th>`)}</tr>${rows}</table></div>`;
}

/** Paired differences: a row a target and score. */
export function comparisonTable(comparison: Comparison, [first, second]: readonly [string, string]): Markup {
  const rows = Object.entries(comparison.differences).flatMap(([target, row]) =>
    comparison.scores.flatMap((score) => {
      const found = row[score.name];
      if (!found || !isTelling(score, found)) return [];
      const better = betterOne(score, found, comparison.bootstrap);
      const winner =
        better === 'first'
          ? html`<span class="one">${short(first)}</span>`
          : html`<span class="two">${short(second)}</span>`;
      return [comparisonRow(target, score, found, better ? winner : NOTHING)];
    }),
  );
  return html`<div class="scroll"><table>
<caption>Over the ${comparison.cases} cases that both have; the difference is ${first} − ${second}</caption>
<tr><th>Target</th><th class="left">Score</th><th class="one">${short(first)}</th><th class="two">${short(second)}</th>
<th>Difference</th><th>Interval</th><th>Higher / lower</th><th>p</th><th>Better</th></tr>${rows}</table></div>`;
}

function comparisonRow(target: string, score: ScoreDescription, found: ScoreComparison, better: Markup): Markup {
  const { interval, wilcoxon } = found;
  const range = interval ? `[${differenceText(interval.low, score)}, ${differenceText(interval.high, score)}]` : '–';
  return html`<tr><td>${target}</td><td class="left">${titled(score)}</td><td>${valueText(found.first, score)}</td>
<td>${valueText(found.second, score)}</td><td>${differenceText(found.difference, score)}</td>
<td><small>${range}</small></td>
<td>${found.higher} / ${found.lower} <small>of ${found.cases}</small></td><td>${pText(wilcoxon?.p)}</td>
<td>${better}</td></tr>`;
}

/** Every case's scores, worst first. */
export function caseTable(evaluation: Evaluation): Markup {
  const all = ranked(evaluation);
  const scores = evaluation.scores.filter(({ name }) =>
    all.some(({ one }) => Object.values(one.scores).some((row) => typeof row[name] === 'number')),
  );
  const rows = all.slice(0, LISTED_CASES).flatMap(({ one }) =>
    Object.entries(one.scores).map(
      ([target, row], index) => html`<tr><td class="name" title="${one.name}">${index === 0 ? one.name : ''}</td>
<td class="left">${target}</td>${scores.map((score) => html`<td>${valueText(row[score.name], score)}</td>`)}</tr>`,
    ),
  );
  const shown = Math.min(all.length, LISTED_CASES);
  const rest = shown < all.length ? `; ${shown} of ${all.length}, all of them are in scores.csv` : '';
  const titles = scores.map(({ title }) => html`<th>${title}</th>`);
  return html`<div class="scroll"><table><caption>Worst first${rest}</caption>
<tr><th>Case</th><th class="left">Target</th>${titles}</tr>${rows}</table></div>`;
}

function titled({ title, unit }: ScoreDescription): Markup {
  return unit ? html`${title} <small>${unit}</small>` : html`${title}`;
}
