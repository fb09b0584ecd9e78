import { type Evaluation, failedCases, scoredCases } from '../../evaluate/result.js';
import { namesIn } from '../../scores.js';

/**
 * A row a case and target, a column a score; a row with an error's code for a case without scores (RFC 4180). What is
 * not defined is empty.
 */
export function scoresCsv(evaluation: Evaluation): string {
  const scored = scoredCases(evaluation).map(({ name, scores }) => ({ name, scores: scores }));
  const scores = namesIn(scored.map((one) => one.scores)).scores;
  const rows = scored.flatMap((one) =>
    Object.entries(one.scores).map(([target, row]) => [one.name, target, ...scores.map((score) => row[score]), '']),
  );
  const failed = failedCases(evaluation).map(({ name, error }) => [name, '', ...scores.map(() => null), error.code]);
  const all = [['case', 'target', ...scores, 'error'], ...rows, ...failed];
  return all.map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

function field(value: string | number | null | undefined): string {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
