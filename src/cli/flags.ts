import { InvalidArgumentError } from 'commander';

/** Parses an integer flag of at least `low`. */
export function integer(flag: string, low: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < low) {
      throw new InvalidArgumentError(`${flag} takes an integer of at least ${low}.`);
    }
    return value;
  };
}

/** Parses numbers with commas between: `-700,300`; `counts` says how many there may be. */
export function numbers(flag: string, counts: number[]): (text: string) => number[] {
  return (text) => {
    const parts = text.split(',');
    const values = parts.map(Number);
    if (!counts.includes(values.length) || parts.some((part) => part.trim() === '') || !values.every(Number.isFinite)) {
      throw new InvalidArgumentError(`${flag} takes ${counts.join(' or ')} numbers with commas between.`);
    }
    return values;
  };
}

/** Parses a flag that takes one of a few words. */
export function choice<T extends string>(flag: string, words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (!found) throw new InvalidArgumentError(`${flag} takes one of ${words.join(', ')}.`);
    return found;
  };
}

const units: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Parses bytes: `2000000000`, `900M`, `2G`, `1.5GiB`. */
export function bytes(flag: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
    const unit = units[match?.[2]?.toLowerCase() ?? ''];
    const value = Math.floor(Number(match?.[1]) * (unit ?? Number.NaN));
    if (!Number.isSafeInteger(value) || value <= 0) {
      throw new InvalidArgumentError(`${flag} takes bytes, such as 2000000000, 900M or 2G.`);
    }
    return value;
  };
}

const seconds: Record<string, number> = { s: 1, m: 60, h: 3600 };

/** Parses a duration into seconds: `75m`, `90s`, `2h`. */
export function duration(flag: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)([smh])$/.exec(text.trim());
    const value = Number(match?.[1]) * (seconds[match?.[2] ?? ''] ?? Number.NaN);
    if (!(value > 0)) throw new InvalidArgumentError(`${flag} takes a duration, such as 75m, 90s or 2h.`);
    return value;
  };
}

/** Collects a flag that may be given several times. */
export function collect(text: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), text];
}

/** Parses words with commas between: `0,1`. */
export function list(text: string): string[] {
  const words = text.split(',').map((word) => word.trim());
  if (words.some((word) => word === '')) throw new InvalidArgumentError('words with commas between are expected.');
  return words;
}

/** Parses a number above 0, up to 1. */
export function share(flag: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value > 0 && value <= 1)) {
      throw new InvalidArgumentError(`${flag} takes a number above 0, up to 1.`);
    }
    return value;
  };
}

/** Parses one part of several: `2/4`. */
export function oneOf(flag: string): (text: string) => [index: number, count: number] {
  return (text) => {
    const [, index, count] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
    if (index === undefined || count === undefined || index < 1 || index > count) {
      throw new InvalidArgumentError(`${flag} takes a part and how many there are, such as 1/4.`);
    }
    return [index, count];
  };
}

/** Parses integers of at least 1 with commas between: `1,2`. */
export function integers(flag: string): (text: string) => number[] {
  return (text) => text.split(',').map(integer(flag, 1));
}
