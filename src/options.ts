// What callers may say to a function: its options' names, and what each must be. Looked at before anything else, since
// callers may have no types, and a slip would say nothing otherwise.
import { isInteger, MAX_THREADS, show } from './check.js';
import { UsageError } from './errors.js';
import type { CallOptions, SeriesName } from './types.js';

/** What an option must be: in words, and whether a value is it. */
export interface Kind {
  readonly words: string;
  readonly holds: (value: unknown) => boolean;
}

/** What each field of an options type must be: one that is missing or made up does not compile. */
export type Kinds<Options> = { readonly [Name in keyof Required<Options>]: Kind };

function kind(words: string, holds: Kind['holds']): Kind {
  return { words, holds };
}

/** An integer in `[low, high]`. */
export function integer(low: number, high: number): Kind {
  return kind(`an integer from ${low} to ${high}`, (value) => isInteger(value, low, high));
}

/** One of some words. */
export function oneOf(...words: readonly string[]): Kind {
  return kind(`${words.slice(0, -1).join(', ')} or ${words.at(-1)}`, (value) => words.some((word) => word === value));
}

/** An array of what is of a kind. */
export function listOf(what: string, { holds }: Kind): Kind {
  return kind(`an array of ${what}`, (value) => Array.isArray(value) && value.every(holds));
}

export const PATH = kind('a path', (value) => typeof value === 'string' && value !== '');
export const TEXT = kind('a string', (value) => typeof value === 'string');
export const TEXTS = listOf('strings', TEXT);
export const SWITCH = kind('true or false', (value) => typeof value === 'boolean');
export const CALLBACK = kind('a function', (value) => typeof value === 'function');
export const RECORD = kind(
  'an object',
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
/** Which volume of a file with several. */
export const INDEX = integer(0, 0xffff_ffff);
export const THREADS = integer(1, MAX_THREADS);
export const BYTES = integer(1, Number.MAX_SAFE_INTEGER);
/** A value of a label map. */
export const LABEL = integer(1, 255);
export const SERIES = kind(
  'the UID of a series or its number',
  (value) => PATH.holds(value) || integer(1, 0xffff_ffff).holds(value),
);
/** Values of a label map, or names with values. */
export const VALUES = kind(
  'an array of values, or names with values',
  (value) => Array.isArray(value) || RECORD.holds(value),
);
/** Of whatever is above 0. */
export const POSITIVE = kind('a number above 0', (value) => typeof value === 'number' && value > 0);
export const SHARE = kind('a number above 0, up to 1', (value) => POSITIVE.holds(value) && (value as number) <= 1);
/** Which fold is left out, or all in turn. */
export const FOLD = kind(
  'a whole number, or all',
  (value) => value === 'all' || integer(0, Number.MAX_SAFE_INTEGER).holds(value),
);
/** What is looked at where it is used. */
export const ANY = kind('anything', () => true);
/** A scan's file, or one a channel. */
export const SCANS = kind('a path or an array of paths', (value) => PATH.holds(value) || listOf('', PATH).holds(value));

/** What the options of every long call must be. */
export const CALL_OPTIONS: Kinds<CallOptions> = {
  signal: kind('an AbortSignal', (value) => CALLBACK.holds((value as AbortSignal | null)?.throwIfAborted)),
  onProgress: CALLBACK,
};

/** Refuses what is not an object, names that a call does not know, and values of another kind. */
export function checkOptions(options: unknown, kinds: Readonly<Record<string, Kind>>): void {
  if (!RECORD.holds(options)) {
    throw new UsageError(`The options must be an object, but they are ${show(options)}.`);
  }
  const given = Object.entries(options as object).filter(([, value]) => value !== undefined);
  const unknown = given.find(([name]) => !Object.hasOwn(kinds, name));
  if (unknown) {
    const known = Object.keys(kinds).sort().join(', ');
    throw new UsageError(`There is no option ${show(unknown[0])}.`, { hint: `Expected one of: ${known}.` });
  }
  for (const [name, value] of given) {
    const { words, holds } = kinds[name] as Kind;
    if (!holds(value)) throw new UsageError(`${name} must be ${words}, but it is ${show(value)}.`);
  }
}

/** The series that options name, as the addon takes it. */
export function seriesOf({ series }: { series?: SeriesName | undefined }): string | null {
  return series === undefined ? null : String(series);
}
