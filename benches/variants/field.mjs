// Circular fields of view: padding outside the skin, through the skin, up to a lung, and through a lung.
import { copied, LEFT, lungBoxMm, norm, quantile, RIGHT, SIDES, visitAll, WHAT } from './study.mjs';

const PADDINGS_HU = [-1024, -2000, -3024, 0, -32768];
/** How far to the side the field's middle lies, so that it cuts one lung alone. */
const ASIDE_MM = 20;

const FIELDS = {
  'outside skin': (study) => ({ aside: 0, radius: farthest(study, (mark) => (mark & WHAT) !== 0, 0) + 8 }),
  // Part of the way from the lungs to the skin.
  'through skin': (study) => {
    const lung = farthest(study, (mark) => (mark & SIDES) !== 0, 0);
    const skin = farthest(study, (mark) => (mark & WHAT) !== 0, 0);
    return { aside: 0, radius: lung + 0.4 * (skin - lung) };
  },
  'at a lung': (study) => within(study, 1),
  '1 % of a lung': (study) => within(study, 0.99),
  '5 % of a lung': (study) => within(study, 0.95),
};

export const variants = Object.keys(FIELDS).flatMap((field, i) =>
  PADDINGS_HU.map((paddingHu, k) => ({
    kind: 'field',
    name: `${field}, ${paddingHu}`,
    // One padding a field is enough where a scan is large.
    large: i === k,
    compare: true,
    make: (study) => padded(study, FIELDS[field](study), paddingHu),
  })),
);

function padded(study, { aside, radius }, paddingHu) {
  const result = copied(study);
  const { scan, marks } = result;
  const [middleX, middleY] = middle(study, aside);
  const most = radius * radius;
  visitAll(scan, (at, x, y) => {
    if ((x - middleX) ** 2 + (y - middleY) ** 2 <= most) return;
    scan.data[at] = paddingHu;
    marks.data[at] = 0;
  });
  return result;
}

/** The middle of the lungs' box, moved to the right by `aside`. */
function middle(study, aside) {
  const { low, high } = lungBoxMm(study);
  return [(low[2] + high[2]) / 2 + aside, (low[1] + high[1]) / 2];
}

/** Distances from the middle, in slices. */
function distances(study, holds, aside) {
  const [middleX, middleY] = middle(study, aside);
  const found = [];
  let skip = 0;
  visitAll(study.scan, (at, x, y) => {
    if (!holds(study.marks.data[at]) || skip++ % 3 !== 0) return;
    found.push(norm(x - middleX, y - middleY));
  });
  return found;
}

function farthest(study, holds, aside) {
  return distances(study, holds, aside).reduce((most, mm) => Math.max(most, mm), 0);
}

/** The circle within which this share of one lung lies, the left one where there is one. */
function within({ scan, marks }, share) {
  const side = marks.data.some((mark) => (mark & LEFT) !== 0) ? LEFT : RIGHT;
  const aside = side === LEFT ? ASIDE_MM : -ASIDE_MM;
  const found = distances({ scan, marks }, (mark) => (mark & side) !== 0, aside);
  return { aside, radius: share === 1 ? found.reduce((most, mm) => Math.max(most, mm), 0) : quantile(found, share) };
}
