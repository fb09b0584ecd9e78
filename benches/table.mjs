// Tables for people, and the numbers in them.

/** Prints a table `{ title, columns, rows }` with aligned columns. */
export function printTable({ title, columns, rows }, say) {
  const lines = [columns, ...rows].map((row) => row.map((value) => String(value ?? '–')));
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  say(`\n${title}`);
  for (const line of lines) {
    say(line.map((text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]))).join('  '));
  }
  say('');
}

/** A number with three decimals; `null` stays. */
export function three(value) {
  return value == null ? null : Number(value.toFixed(3));
}

/** A number with three digits that count; `null` stays. */
export function significant(value) {
  return value == null ? null : Number(value.toPrecision(3));
}

/** The mean of what is a number, `null` where nothing is. */
export function mean(values) {
  const known = values.filter((value) => typeof value === 'number');
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** The middle value. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** A check `value ≥ least` or `value ≤ most`. */
export function within(what, value, { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }) {
  const bounds = [
    ...(least > Number.NEGATIVE_INFINITY ? [`at least ${least}`] : []),
    ...(most < Number.POSITIVE_INFINITY ? [`at most ${most}`] : []),
  ];
  const holds = value != null && value >= least && value <= most;
  return { what, value: value == null ? null : Number(value.toPrecision(4)), wanted: bounds.join(' and '), holds };
}

/** A check that something is so. */
export function that(what, holds) {
  return { what, value: holds ? 'yes' : 'no', wanted: 'yes', holds };
}
