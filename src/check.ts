import { availableParallelism } from 'node:os';
import { inspect } from 'node:util';
import { UsageError } from './errors.js';
import type { Volume, VoxelArray } from './types.js';

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

/** Whether a value is an integer in `[low, high]`. */
export function isInteger(value: unknown, low: number, high: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;
}

/** Refuses what is not an integer in `[low, high]`. */
export function checkInteger(what: string, value: unknown, low: number, high: number): asserts value is number {
  if (!isInteger(value, low, high)) {
    throw new UsageError(`${what} must be an integer from ${low} to ${high}, but it is ${show(value)}.`);
  }
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

/** A value in few words. */
export function show(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (typeof value === 'string') return JSON.stringify(value);
  return inspect(value, { depth: 1, maxArrayLength: 4, maxStringLength: 40, breakLength: Infinity }).slice(0, 80);
}
