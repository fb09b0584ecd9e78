import { HEIGHT, PIXELS, WIDTHS } from './font.js';
import type { Colour, Picture } from './slices.js';

/** Rows of a line of text. */
export const TEXT_HEIGHT = HEIGHT;

const FIRST_CODE = 32;
const levels = Buffer.from(PIXELS, 'base64');
/** Where each character's pixels begin; each takes whole bytes. */
const starts = [0];
for (const width of WIDTHS) starts.push((starts.at(-1) ?? 0) + 2 * Math.ceil((width * HEIGHT) / 2));

/** A picture to draw lines and words on, with smooth edges. */
export class Canvas implements Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
  /** What a line covers of each pixel, 0 to 1, while it is drawn: where it crosses itself it is not drawn twice. */
  readonly #covered: Float32Array;

  constructor(width: number, height: number, background: Colour) {
    this.width = width;
    this.height = height;
    this.rgb = new Uint8Array(3 * width * height);
    this.#covered = new Float32Array(width * height);
    this.fill(0, 0, width, height, background);
  }

  /** Fills a rectangle. */
  fill(left: number, top: number, width: number, height: number, colour: Colour): void {
    for (let y = top; y < top + height; y++) for (let x = left; x < left + width; x++) this.#mix(x, y, colour, 1);
  }

  /** Draws a line through points, `[x, y]` in pixels. */
  line(points: readonly (readonly [x: number, y: number])[], colour: Colour, thickness = 1.5, opacity = 1): void {
    const touched: number[] = [];
    for (const [index, to] of points.entries()) this.#cover(points[index - 1] ?? to, to, thickness / 2, touched);
    for (const pixel of touched) {
      const share = this.#covered[pixel] ?? 0;
      this.#covered[pixel] = 0;
      this.#mix(pixel % this.width, Math.floor(pixel / this.width), colour, opacity * share);
    }
  }

  /** Writes a line of printable ASCII with its upper left corner at `x`, `y`. */
  text(x: number, y: number, text: string, colour: Colour): void {
    let left = Math.round(x);
    for (const code of codes(text)) {
      const [width, start] = [WIDTHS[code] ?? 0, starts[code] ?? 0];
      for (let at = 0; at < width * HEIGHT; at++) {
        const pair = levels[(start + at) >> 1] ?? 0;
        const level = (start + at) % 2 === 0 ? pair >> 4 : pair & 15;
        if (level > 0) this.#mix(left + (at % width), Math.round(y) + Math.floor(at / width), colour, level / 15);
      }
      left += width;
    }
  }

  /** Notes what a segment covers of the pixels around it, and which those are. */
  #cover(
    [fromX, fromY]: readonly [number, number],
    [toX, toY]: readonly [number, number],
    radius: number,
    touched: number[],
  ): void {
    const [dx, dy] = [toX - fromX, toY - fromY];
    const squared = dx * dx + dy * dy;
    const reach = radius + 1;
    const [lowX, highX] = [Math.min(fromX, toX) - reach, Math.max(fromX, toX) + reach].map(Math.floor) as [
      number,
      number,
    ];
    const [lowY, highY] = [Math.min(fromY, toY) - reach, Math.max(fromY, toY) + reach].map(Math.floor) as [
      number,
      number,
    ];
    for (let y = Math.max(0, lowY); y <= Math.min(this.height - 1, highY); y++) {
      for (let x = Math.max(0, lowX); x <= Math.min(this.width - 1, highX); x++) {
        const along = squared === 0 ? 0 : ((x - fromX) * dx + (y - fromY) * dy) / squared;
        const nearest = Math.min(1, Math.max(0, along));
        const distance = Math.hypot(x - fromX - nearest * dx, y - fromY - nearest * dy);
        const share = Math.min(1, radius + 0.5 - distance);
        const pixel = y * this.width + x;
        const before = this.#covered[pixel] ?? 0;
        if (share <= before) continue;
        if (before === 0) touched.push(pixel);
        this.#covered[pixel] = share;
      }
    }
  }

  #mix(x: number, y: number, colour: Colour, share: number): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = 3 * (y * this.width + x);
    for (let c = 0; c < 3; c++) {
      this.rgb[at + c] = Math.round((1 - share) * (this.rgb[at + c] ?? 0) + share * (colour[c] ?? 0));
    }
  }
}

/** Columns that a text takes. */
export function textWidth(text: string): number {
  return codes(text).reduce((sum, code) => sum + (WIDTHS[code] ?? 0), 0);
}

/** Places of the characters in the font; what it does not have is a question mark. */
function codes(text: string): number[] {
  const places = [...text].map((character) => (character.codePointAt(0) ?? 0) - FIRST_CODE);
  return places.map((place) => (place >= 0 && place < WIDTHS.length ? place : '?'.charCodeAt(0) - FIRST_CODE));
}
