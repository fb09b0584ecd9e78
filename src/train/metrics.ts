import type { LoggedEvent } from './logged.js';
import { scalarsOf, stepsTaken } from './scalars.js';

/** Columns that every table begins with, by the tags of their numbers. */
const FIRST = ['train/loss', 'lr', 'train/gradient_norm', 'train/seconds'];

/**
 * A run's numbers as CSV (RFC 4180): a row a step, with the number of steps taken by then and, where they came after it,
 * the scores of a validation. What was not a finite number, or not there, is empty.
 */
export function metricsCsv(events: readonly LoggedEvent[]): string {
  const rows = new Map<number, Map<string, number>>();
  const tags = new Set(FIRST);
  for (const event of events) {
    const scalars = scalarsOf(event);
    if (scalars.size === 0) continue;
    const row = rows.get(stepsTaken(event)) ?? new Map<string, number>();
    rows.set(stepsTaken(event), row);
    for (const [tag, value] of scalars) {
      row.set(tag, value);
      tags.add(tag);
    }
  }
  const columns = [...tags].sort((a, b) => place(a) - place(b));
  const header = ['step', ...columns.map(columnOf)].map(quoted).join(',');
  const lines = [...rows].map(([step, row]) => [step, ...columns.map((tag) => row.get(tag) ?? '')].join(','));
  return `${[header, ...lines].join('\n')}\n`;
}

/** Steps' columns first, in the order in which they came up, then validations'. */
function place(tag: string): number {
  return tag.startsWith('validation/') ? 1 : 0;
}

/** `train/terms/dice` as `terms_dice`. */
function columnOf(tag: string): string {
  const name = tag.replace(/^train\//, '').replaceAll(/[/ ]/g, '_');
  return name === 'lr' ? 'learning_rate' : name;
}

function quoted(name: string): string {
  return /[",\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}
