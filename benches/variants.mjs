// Variants of a scan: what scanners, patients and disease do to it. Each changes nothing inside the body that it does
// not name.
import * as beside from './variants/beside.mjs';
import * as beyond from './variants/beyond.mjs';
import * as disease from './variants/disease.mjs';
import * as field from './variants/field.mjs';
import * as grids from './variants/grids.mjs';
import { AIR, BODY, CENTRELINE, IGNORED, LEFT, LUMEN, RIGHT, randomOf, SIDES, WHAT } from './variants/study.mjs';
import * as tables from './variants/tables.mjs';

export { belowLungs, emptyScans } from './variants/empty.mjs';
export { phantomSources, realSources } from './variants/sources.mjs';

const PLAIN = { kind: 'plain', name: 'as it is', large: true, compare: false, make: (study) => study };

/** Every variant, the plain scan first. */
export const VARIANTS = [PLAIN, ...[field, tables, beside, beyond, grids, disease].flatMap(({ variants }) => variants)];
export const KINDS = [...new Set(VARIANTS.map(({ kind }) => kind)), 'no chest'];

/** Above this many voxels a scan gets one combination of each, not all of them. */
const LARGE_VOXELS = 4e6;

/** The variants that can be made of a study. */
export function variantsOf(study, { kinds, everything = false }) {
  const large = study.scan.data.length > LARGE_VOXELS;
  const sides = study.marks.data.reduce((seen, mark) => seen | (mark & SIDES), 0);
  return VARIANTS.filter(
    (one) =>
      (!kinds || kinds.includes(one.kind)) &&
      (!large || everything || one.large) &&
      (!one.whole || study.whole) &&
      (!one.sides || (one.sides & sides) === one.sides),
  );
}

/**
 * Makes a variant: `{ scan, truth, knows, compare, offset }`, or `null` where the scan lacks what it takes. `truth` are
 * marks (see `variants/study.mjs`) on the scan's grid; `offset` is where the canonical grid's first voxel lies in the
 * plain one, `[z, y, x]`; with `compare`, voxels that lie in both and have the same HU are the same place. `look` may
 * say where a picture shows it.
 */
export function madeVariant(study, { kind, name, make, compare }) {
  let seed = 0;
  for (const letter of `${study.name} ${kind} ${name}`) seed = (Math.imul(seed, 31) + letter.charCodeAt(0)) >>> 0;
  const made = make(study, randomOf(seed));
  if (!made) return null;
  const { scan, marks: truth, knows, offset = [0, 0, 0], look } = made;
  return { scan, truth, knows, compare, offset, look };
}

/** Marks as values of a label map: 1 body, 3 left lung, 4 right lung, 5 airway lumen, 6 centreline, 7 not scored. */
export function asLabels({ data, ...grid }) {
  const value = (mark) => {
    const what = mark & WHAT;
    if ([AIR, BODY, LUMEN, CENTRELINE, IGNORED].includes(what)) return what;
    return mark & LEFT ? 3 : mark & RIGHT ? 4 : BODY;
  };
  const table = Uint8Array.from({ length: 256 }, (_, mark) => value(mark));
  return { ...grid, data: data.map((mark) => table[mark]) };
}
