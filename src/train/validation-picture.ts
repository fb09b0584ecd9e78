import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Canvas, TEXT_HEIGHT, textWidth } from '../drawing/canvas.js';
import { type Colour, draw, grey, type Picture, row, stack, VIEWS, type View } from '../drawing/slices.js';
import { makeFolder, writeAtomic } from '../files.js';
import type { CaseScores, Slice } from '../native/binding.js';

const PIXEL_MM = 0.6;
/** Pictures of so many validations are kept. */
const KEPT = 5;
/** What the reference holds where nobody annotated. */
const UNKNOWN = 255;
const BLACK: Colour = [0, 0, 0];
const PALE: Colour = [200, 200, 205];
/** Of artery and vein: what was found is tinted, the reference has an outline. */
const FOUND: readonly Colour[] = [
  [50, 105, 255],
  [235, 50, 45],
];
const OUTLINE: readonly Colour[] = [
  [70, 225, 255],
  [255, 205, 60],
];

/**
 * Writes `RUN/validation/STEP-NAME.png` for each case, an axial, a coronal and a sagittal slice, and removes the
 * pictures of all but the last validations.
 *
 * @throws IoError
 */
export async function drawValidation(run: string, step: number, cases: CaseScores[]): Promise<void> {
  const folder = join(run, FOLDER);
  await makeFolder(folder);
  for (const validated of cases) {
    await writeAtomic(
      join(folder, `${String(step).padStart(6, '0')}-${validated.name}.png`),
      drawCase(step, validated),
    );
  }
  const steps = [...new Set(pictures(run).map(stepOf))].sort((a, b) => b - a);
  await remove(run, (step) => !steps.slice(0, KEPT).includes(step));
}

/** Removes the pictures of validations after `step` steps, which a resumed run has not made yet. */
export async function cutBackPictures(run: string, step: number): Promise<void> {
  await remove(run, (drawn) => drawn > step);
}

const FOLDER = 'validation';

async function remove(run: string, goes: (step: number) => boolean): Promise<void> {
  for (const name of pictures(run)) if (goes(stepOf(name))) await rm(join(run, FOLDER, name), { force: true });
}

function pictures(run: string): string[] {
  try {
    return readdirSync(join(run, FOLDER)).filter((name) => /^\d+-.*\.png$/.test(name));
  } catch {
    return [];
  }
}

function stepOf(name: string): number {
  return Number.parseInt(name, 10);
}

function drawCase(step: number, { name, scores, slices }: CaseScores): Uint8Array {
  const picture = row(slices.map((slice, index) => drawSlice(slice, VIEWS[index] as View)));
  const dice = ['artery', 'vein'].map((target) => `${target} ${scores[target]?.dice?.toFixed(3) ?? '-'}`);
  return stack([caption(`${name} after ${step} steps. Dice: ${dice.join(', ')}`, picture.width), picture]);
}

/** What is shown, and by which colour. */
function caption(title: string, width: number): Canvas {
  const legend = [
    ['found: artery', FOUND[0]],
    ['vein', FOUND[1]],
    ['reference: artery', OUTLINE[0]],
    ['vein', OUTLINE[1]],
    ['dark: nobody annotated', BLACK],
  ] as const;
  const needed = legend.reduce((sum, [text]) => sum + textWidth(text) + 36, 8);
  const canvas = new Canvas(Math.max(width, needed, textWidth(title) + 16), 2 * TEXT_HEIGHT + 8, BLACK);
  canvas.text(8, 4, title, PALE);
  let left = 8;
  for (const [index, [text, colour = PALE]] of legend.entries()) {
    const middle = 4 + 1.5 * TEXT_HEIGHT;
    const thick = index < 2 ? 12 : 2;
    canvas.fill(left, middle - thick / 2, 14, thick, colour);
    canvas.text(left + 20, middle - TEXT_HEIGHT / 2, text, PALE);
    left += textWidth(text) + 36;
  }
  return canvas;
}

/** Grey, tinted where something was found, half as bright where nobody annotated, outlined around the reference. */
function drawSlice({ shape: [rows, columns], spacingMm, hu, reference, predicted }: Slice, view: View): Picture {
  const sizes = [1, 1, 1];
  const steps = [0, 0, 0];
  const spacings = [1, 1, 1];
  [sizes[view.down], steps[view.down], spacings[view.down]] = [rows, columns, spacingMm[0]];
  [sizes[view.across], steps[view.across], spacings[view.across]] = [columns, 1, spacingMm[1]];
  const labels: number[] = [];
  const picture = draw(
    { data: hu, sizes, steps, spacings, start: 0 },
    view,
    (offset, rgb, at) => {
      const label = reference[offset] ?? 0;
      labels.push(label);
      const level = grey(hu[offset] ?? 0) * (label === UNKNOWN ? 0.5 : 1);
      const colour = FOUND[(predicted[offset] ?? 0) - 1];
      for (let c = 0; c < 3; c++) rgb[at + c] = colour ? 0.45 * level + 0.55 * (colour[c] ?? 0) : level;
    },
    PIXEL_MM,
  );
  outline(picture, labels);
  return picture;
}

/** Outlines lie around a structure, so that small ones still show what was found in them. */
function outline({ width, rgb }: Picture, labels: number[]): void {
  for (const [pixel, label] of labels.entries()) {
    const column = pixel % width;
    const beside = [
      column > 0 ? pixel - 1 : pixel,
      column < width - 1 ? pixel + 1 : pixel,
      pixel - width,
      pixel + width,
    ];
    const outer = Math.max(...beside.map((other) => labels[other] ?? 0).filter((other) => other !== UNKNOWN), 0);
    const colour = outer !== label && label === 0 ? OUTLINE[outer - 1] : undefined;
    if (colour) rgb.set(colour, 3 * pixel);
  }
}
