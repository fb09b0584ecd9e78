import {
  type Canonical,
  type Colour,
  canonical,
  draw,
  grey,
  number,
  type Picture,
  row,
  stack,
  VIEWS,
} from '../drawing/slices.js';
import type { Volume } from '../types.js';

/** How a label value is drawn; `tint` is the colour's share inside, outlines have all of it. */
interface Style {
  colour: Colour;
  tint: number;
}

/** Label values 1 to 5. The body is an outline only, since it holds all the others. */
const STYLES: readonly Style[] = [
  { colour: [235, 235, 120], tint: 0 },
  { colour: [255, 165, 60], tint: 0.25 },
  { colour: [80, 160, 255], tint: 0.3 },
  { colour: [70, 205, 120], tint: 0.3 },
  { colour: [240, 90, 220], tint: 0.6 },
];
const LUNGS = [3, 4];

/**
 * Draws a scan and its anatomy as PNG: the three views through the middle of the lungs, of the scan where there are
 * none. The patient's right is at the picture's left.
 */
export function drawAnatomy(ct: Volume, labels: Volume<Uint8Array>): Uint8Array {
  const scan = canonical(ct);
  const map = canonical(labels);
  const middle = middleOfLungs(map);
  const slices = VIEWS.map((view) => {
    const step = number(scan.steps, view.through) * number(middle, view.through);
    const values: number[] = [];
    const picture = draw(scan, view, (offset, rgb, at) => {
      rgb.fill(grey(Number(scan.data[offset + step])), at, at + 3);
      values.push(Number(map.data[offset + step]));
    });
    return paint(picture, values);
  });
  return stack([row(slices)]);
}

/** Colours a grey picture by the label value of each pixel. */
function paint(picture: Picture, values: number[]): Picture {
  const { width, rgb } = picture;
  values.forEach((value, pixel) => {
    const right = pixel % width === width - 1 ? value : number(values, pixel + 1);
    const below = values[pixel + width] ?? value;
    // An outline belongs to the higher value, the structure inside.
    const edge = Math.max(value, right, below);
    const outlined = value !== right || value !== below;
    const style = STYLES[(outlined ? edge : value) - 1];
    if (!style) return;
    const share = outlined ? 1 : style.tint;
    for (let c = 0; c < 3; c++) {
      const at = 3 * pixel + c;
      rgb[at] = (1 - share) * (rgb[at] ?? 0) + share * (style.colour[c] ?? 0);
    }
  });
  return picture;
}

/** The middle of the lungs' box along the canonical axes, of the whole grid where there are no lungs. */
function middleOfLungs(map: Canonical): number[] {
  return [0, 1, 2].map((axis) => {
    const size = number(map.sizes, axis);
    const has = (place: number) => hasLung(map, axis, place);
    const places = Array.from({ length: size }, (_, place) => place);
    const [first, last] = [places.find(has), places.findLast(has)];
    return first === undefined || last === undefined ? size >> 1 : (first + last) >> 1;
  });
}

/** Whether the slice at `place` along `axis` meets a lung. */
function hasLung(map: Canonical, axis: number, place: number): boolean {
  const [a, b] = [0, 1, 2].filter((other) => other !== axis) as [number, number];
  const [step, size] = [number(map.steps, a), number(map.sizes, a)];
  for (let j = 0; j < number(map.sizes, b); j++) {
    let offset = map.start + place * number(map.steps, axis) + j * number(map.steps, b);
    for (let i = 0; i < size; i++, offset += step) {
      if (LUNGS.includes(Number(map.data[offset]))) return true;
    }
  }
  return false;
}
