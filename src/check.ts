import { availableParallelism } from 'node:os';
import { UsageError } from './errors.js';
import type { CallOptions, Volume, VoxelArray } from './types.js';

/** Names of the fields of an options type, all of them: one that is missing or made up does not compile. */
export type Names<Options> = { readonly [Name in keyof Required<Options>]: true };

/** Names that the options of every long call have. */
export const CALL_OPTIONS: Names<CallOptions> = { signal: true, onProgress: true };

const arrays = [
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

/** More threads than this are a slip. */
export const MAX_THREADS = 256;

/** All threads this process may use. */
export function defaultThreads(): number {
  return Math.min(MAX_THREADS, availableParallelism());
}

/** Refuses what is not an object, and names that a call does not know: a slip would say nothing otherwise. */
export function checkOptions(options: unknown, names: Readonly<Record<string, true>>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new UsageError(`The options must be an object, but they are ${show(options)}.`);
  }
  const unknown = Object.entries(options).find(([name, value]) => value !== undefined && !Object.hasOwn(names, name));
  if (unknown) {
    const known = Object.keys(names).sort().join(', ');
    throw new UsageError(`There is no option ${show(unknown[0])}.`, { hint: `Expected one of: ${known}.` });
  }
  const { signal, onProgress }: { signal?: unknown; onProgress?: unknown } = options;
  if (signal !== undefined && typeof (signal as AbortSignal | null)?.throwIfAborted !== 'function') {
    throw new UsageError(`signal must be an AbortSignal, but it is ${show(signal)}.`);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new UsageError(`onProgress must be a function, but it is ${show(onProgress)}.`);
  }
}

/** Refuses anything but a non-empty string. */
export function checkPath(what: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '') {
    throw new UsageError(`${what} must be a path, but it is ${show(value)}.`);
  }
}

/** Refuses volumes that lack a field, or whose data do not fit their shape. */
export function checkVolume(what: string, value: unknown): asserts value is Volume {
  if (typeof value !== 'object' || value === null) {
    throw new UsageError(`${what} must be a path or a volume, but it is ${show(value)}.`);
  }
  const volume: { [Field in keyof Volume]?: unknown } = value;
  const { shape } = volume;
  checkNumbers(`${what}.shape`, shape, 3, (n) => Number.isInteger(n) && n > 0, 'positive integers [z, y, x]');
  checkNumbers(
    `${what}.spacingMm`,
    volume.spacingMm,
    3,
    (n) => n > 0 && Number.isFinite(n),
    'positive finite numbers [z, y, x]',
  );
  checkNumbers(`${what}.affine`, volume.affine, 16, Number.isFinite, 'finite numbers, row-major');
  const { data } = volume;
  if (!isVoxelArray(data)) throw new UsageError(`${what}.data must be a typed array, but it is ${show(data)}.`);
  const voxels = shape.reduce((product, size) => product * size, 1);
  if (data.length !== voxels) {
    throw new UsageError(`${what}.data has ${data.length} values, but its shape ${shape.join(' × ')} needs ${voxels}.`);
  }
}

function isVoxelArray(data: unknown): data is VoxelArray {
  return arrays.some((type) => data instanceof type);
}

/** Refuses what is not an integer in `[low, high]`. */
export function checkInteger(what: string, value: unknown, low: number, high: number): asserts value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) {
    throw new UsageError(`${what} must be an integer from ${low} to ${high}, but it is ${show(value)}.`);
  }
}

/** The series that options name, as the addon takes it. */
export function seriesOf({ series }: { series?: unknown }): string | null {
  if (series === undefined) return null;
  if (typeof series === 'string' && series !== '') return series;
  checkInteger('series', series, 1, 0xffff_ffff);
  return String(series);
}

/** Refuses what is neither `true` nor `false`. */
export function checkBoolean(what: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw new UsageError(`${what} must be true or false, but it is ${show(value)}.`);
}

/** Refuses what is not an array of non-empty strings. */
export function checkStrings(what: string, value: unknown): asserts value is string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) {
    throw new UsageError(`${what} must be an array of strings, but it is ${show(value)}.`);
  }
}

function checkNumbers(
  what: string,
  value: unknown,
  length: number,
  holds: (n: number) => boolean,
  wanted: string,
): asserts value is number[] {
  if (!Array.isArray(value) || value.length !== length || !value.every((n) => typeof n === 'number' && holds(n))) {
    throw new UsageError(`${what} must be ${length} ${wanted}, but it is ${show(value)}.`);
  }
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (typeof value === 'object' && value !== null) return JSON.stringify(value).slice(0, 60);
  return String(value);
}
