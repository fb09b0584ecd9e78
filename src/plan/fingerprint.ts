import type { CaseFacts, ClassFacts, SurveyedCase } from '../dataset.js';
import type { Axes } from '../types.js';

/** Voxel edges at which the best Dice is measured, mm. */
export const EDGES_MM = [0.75, 1, 1.25, 1.5, 2, 2.5, 3];

/** The figures of a data set that a plan is made of. */
export interface Fingerprint {
  /** How many cases are annotated in full, in part (one lung, one class), not at all, or cannot be used. */
  cases: { full: number; half: number; unlabelled: number; unusable: number };
  /** In how many cases each side is annotated. */
  sides: { left: number; right: number };
  /** In how many cases each class is annotated. */
  classes: { artery: number; vein: number };
  /** Voxel size `[z, y, x]` in mm: its median and range over the cases. */
  spacingMm: { median: Axes; least: Axes; most: Axes };
  /** Median number of voxels, `[z, y, x]`. */
  shape: Axes;
  /** HU below which 0.5, 50 and 99.5 % of the labelled voxels lie, medians over the cases; `null` without such voxels. */
  hu: { artery: [number, number, number] | null; vein: [number, number, number] | null };
  /** Shares of the labelled voxels in vessels of a radius below 1.5 mm, up to 3 mm, and above. */
  calibres: { artery: [number, number, number] | null; vein: [number, number, number] | null };
  /** Best Dice that the labels keep on isotropic voxels, means over some cases. */
  ceilings: { edgeMm: number; artery: number | null; vein: number | null }[];
}

/** A case with its figures, where it could be read. */
export interface MeasuredCase {
  case: SurveyedCase;
  facts: CaseFacts | null;
}

/** The figures of a data set. At least one case has figures. */
export function fingerprint(measured: MeasuredCase[]): Fingerprint {
  const usable = measured.flatMap(({ case: one, facts }) => (facts ? [{ ...one, facts }] : []));
  const labelled = usable.filter((one) => one.labelled);
  const facts = usable.map((one) => one.facts);
  const annotated = (test: (one: SurveyedCase) => boolean) => labelled.filter(test).length;
  const of = (name: 'artery' | 'vein') => facts.flatMap(({ classes }) => classes[name] ?? []);
  const [artery, vein] = [of('artery'), of('vein')];
  return {
    cases: {
      full: annotated((one) => one.full),
      half: annotated((one) => !one.full),
      unlabelled: usable.length - labelled.length,
      unusable: measured.length - usable.length,
    },
    sides: {
      left: annotated((one) => one.sides.includes('left')),
      right: annotated((one) => one.sides.includes('right')),
    },
    classes: {
      artery: annotated((one) => one.classes.includes('artery')),
      vein: annotated((one) => one.classes.includes('vein')),
    },
    spacingMm: {
      median: eachAxis(facts, ({ spacingMm }) => spacingMm, median),
      least: eachAxis(
        facts,
        ({ spacingMm }) => spacingMm,
        (values) => Math.min(...values),
      ),
      most: eachAxis(
        facts,
        ({ spacingMm }) => spacingMm,
        (values) => Math.max(...values),
      ),
    },
    shape: eachAxis(facts, ({ shape }) => shape, median),
    hu: { artery: medianHu(artery), vein: medianHu(vein) },
    calibres: { artery: calibreShares(artery), vein: calibreShares(vein) },
    ceilings: EDGES_MM.map((edgeMm, index) => ({
      edgeMm,
      artery: mean(artery.flatMap(({ ceilings }) => ceilings[index] ?? [])),
      vein: mean(vein.flatMap(({ ceilings }) => ceilings[index] ?? [])),
    })),
  };
}

function eachAxis(facts: CaseFacts[], of: (facts: CaseFacts) => Axes, sum: (values: number[]) => number): Axes {
  return [0, 1, 2].map((axis) => sum(facts.map((one) => of(one)[axis] ?? 0))) as Axes;
}

function medianHu(classes: ClassFacts[]): [number, number, number] | null {
  if (classes.length === 0) return null;
  return [0, 1, 2].map((index) => median(classes.map(({ hu }) => hu[index] ?? 0))) as [number, number, number];
}

function calibreShares(classes: ClassFacts[]): [number, number, number] | null {
  const total = classes.reduce((sum, { voxels }) => sum + voxels, 0);
  if (total === 0) return null;
  const voxels = (index: number) => classes.reduce((sum, { calibres }) => sum + (calibres[index] ?? 0), 0);
  return [voxels(0) / total, voxels(1) / total, voxels(2) / total];
}

/** The lower one of the middle values. */
function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
}

function mean(values: number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
