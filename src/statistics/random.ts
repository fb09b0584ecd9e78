/**
 * Whole numbers below 2³² from a seed, the same on every machine: xoshiro128** (Blackman and Vigna, "Scrambled linear
 * pseudorandom number generators", ACM TOMS 47, 2021), its state filled by MurmurHash3's finalizer.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    const word = (place: number) => mixed(seed + place * 0x9e3779b9);
    [this.#a, this.#b, this.#c, this.#d] = [word(1), word(2), word(3), word(4)];
  }

  /** A generator that goes on from four words, not all of them 0. */
  static from(words: readonly [number, number, number, number]): Random {
    const random = new Random(0);
    [random.#a, random.#b, random.#c, random.#d] = words;
    return random;
  }

  /** The next number, 0 to 2³² − 1. */
  next(): number {
    const before = this.#b;
    const [c, d] = [this.#c ^ this.#a, this.#d ^ before];
    this.#b = before ^ c;
    this.#a ^= d;
    this.#c = c ^ (before << 9);
    this.#d = rotated(d, 11);
    return Math.imul(rotated(Math.imul(before, 5), 7), 9) >>> 0;
  }

  /** A whole number from 0 up to, not including, `count`. */
  below(count: number): number {
    return Math.floor((this.next() / 2 ** 32) * count);
  }
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function mixed(seed: number): number {
  let word = seed >>> 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}
