import type { ScoreDescription } from '../../scores.js';

/** A score's value as people read it; a dash where it is not defined. */
export function valueText(value: number | null | undefined, { unit }: ScoreDescription, more = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  return grouped(value.toFixed(more + decimals(Math.abs(value), unit)));
}

/** A difference, with its sign; of a share with a digit more, since models differ by little. */
export function differenceText(value: number | null | undefined, description: ScoreDescription): string {
  const text = valueText(value, description, description.unit === '' ? 1 : 0);
  return typeof value === 'number' && value > 0 ? `+${text}` : text;
}

function decimals(size: number, unit: string): number {
  if (unit === '') return 3;
  if (unit === 'voxels' || size >= 100) return 0;
  return size >= 10 ? 1 : 2;
}

/** A p-value: three digits, and no more zeros than anybody reads. */
export function pText(p: number | undefined): string {
  if (p === undefined) return '–';
  return p < 0.0001 ? '< 0.0001' : p.toPrecision(2);
}

/** Thousands apart by a narrow space, a real minus. */
function grouped(digits: string): string {
  const [whole = '', fraction] = digits.replace('-', '−').split('.');
  const thousands = whole.replace(/(\d)(?=(\d{3})+$)/g, '$1\u202f');
  return fraction === undefined ? thousands : `${thousands}.${fraction}`;
}

/** A name of at most 18 characters. */
export function short(name: string): string {
  return name.length > 18 ? `${name.slice(0, 17)}…` : name;
}
