// How well an anatomy agrees with a variant's truth, and vessel labels with those of the plain scan.
import { AIR, CENTRELINE, canonical, IGNORED, LEFT, LUMEN, norm, RIGHT, SIDES, WALL, WHAT } from './study.mjs';

/** Values of an anatomy's label map. */
const [LEFT_LUNG, RIGHT_LUNG, AIRWAYS] = [3, 4, 5];
/** A side with less lung than this in the scan is not scored: finders may leave a rest away. */
const MIN_ML = 120;
/** No other airway has a cross-section as large as the windpipe's. */
const WINDPIPE_MM2 = 100;
/** How far from a true airway one that is found may lie. */
const LEAK_MM = 1.5;
/** The four prompts by class and side. */
export const PROMPTS = ['left artery', 'right artery', 'left vein', 'right vein'];

/**
 * Dice by side and of both lungs, share of a found side in the other true lung, Dice of the body, share of the
 * centrelines found, share of found airway that leaked. `null` where the truth does not know.
 */
export function scored({ scan, truth, knows }, labels) {
  const counts = jointCounts(truth.data, labels.data);
  const voxelMl = scan.spacingMm.reduce((product, mm) => product * mm, 1) / 1000;
  const lungs = lungScores(counts, voxelMl);
  return {
    ...lungs,
    body: knows.body ? bodyDice(counts) : null,
    ...(knows.airways ? airwayScores(truth, labels.data) : { airways: null, leak: null }),
    airwayMl: sum(counts, (_, found) => found === AIRWAYS) * voxelMl,
  };
}

/** How often each mark and each label met: `counts[8 · mark + label]`. */
function jointCounts(marks, labels) {
  const counts = new Float64Array(128 * 8);
  for (let i = 0; i < marks.length; i++) counts[(marks[i] << 3) | labels[i]] += 1;
  return counts;
}

function sum(counts, holds) {
  let total = 0;
  for (let i = 0; i < counts.length; i++) if (counts[i] > 0 && holds(i >> 3, i & 7)) total += counts[i];
  return total;
}

/** Airway lumen is neither lung nor not; airway that is found in a lung counts as that lung. */
function lungScores(counts, voxelMl) {
  const known = (mark) => ![IGNORED, LUMEN, CENTRELINE].includes(mark & WHAT);
  const sideOf = (mark, found) => {
    if (found === LEFT_LUNG) return LEFT;
    if (found === RIGHT_LUNG) return RIGHT;
    return found === AIRWAYS ? mark & SIDES : 0;
  };
  const dice = (sides) => {
    const both = sum(
      counts,
      (mark, found) => known(mark) && (mark & sides) !== 0 && (sideOf(mark, found) & sides) !== 0,
    );
    const each =
      sum(counts, (mark) => known(mark) && (mark & sides) !== 0) +
      sum(counts, (mark, found) => known(mark) && (sideOf(mark, found) & sides) !== 0);
    return each === 0 ? 1 : (2 * both) / each;
  };
  const trueMl = [LEFT, RIGHT].map((side) => sum(counts, (mark) => (mark & side) !== 0) * voxelMl);
  const scoredSides = trueMl.map((ml) => ml >= MIN_ML);
  const wrong = [
    [LEFT_LUNG, RIGHT],
    [RIGHT_LUNG, LEFT],
  ].map(([value, other]) => {
    const found = sum(counts, (_, label) => label === value);
    return found === 0 ? 0 : sum(counts, (mark, label) => label === value && (mark & other) !== 0) / found;
  });
  return {
    left: scoredSides[0] ? dice(LEFT) : null,
    right: scoredSides[1] ? dice(RIGHT) : null,
    both: scoredSides.includes(true) ? dice(SIDES) : null,
    wrongSide: Math.max(...wrong),
    trueMl,
    foundMl: [LEFT_LUNG, RIGHT_LUNG].map((value) => sum(counts, (_, found) => found === value) * voxelMl),
  };
}

function bodyDice(counts) {
  const inside = (mark) => (mark & WHAT) !== AIR;
  const known = (mark) => (mark & WHAT) !== IGNORED;
  const both = sum(counts, (mark, found) => known(mark) && inside(mark) && found > 0);
  const each =
    sum(counts, (mark) => known(mark) && inside(mark)) + sum(counts, (mark, found) => known(mark) && found > 0);
  return each === 0 ? 1 : (2 * both) / each;
}

function airwayScores({ data: marks, shape, spacingMm }, labels) {
  const near = offsets(shape, (z, y, x) => Math.max(Math.abs(z), Math.abs(y), Math.abs(x)) <= 1);
  const [dz, dy, dx] = spacingMm;
  const close = offsets(shape, (z, y, x) => norm(x * dx, y * dy, z * dz) <= LEAK_MM);
  const airway = (mark) => (mark & WALL) !== 0 || [LUMEN, CENTRELINE, IGNORED].includes(mark & WHAT);
  const isAirway = Uint8Array.from({ length: 128 }, (_, mark) => (airway(mark) ? 1 : 0));
  const line = belowWindpipe(marks, shape, spacingMm).filter((i) => (marks[i] & WHAT) === CENTRELINE);
  const found = placesOf(labels, (label) => label === AIRWAYS);
  const met = line.filter((i) => near.some((offset) => labels[i + offset] === AIRWAYS));
  const leaked = found.filter((i) => !close.some((offset) => isAirway[marks[i + offset]] === 1));
  return {
    airways: line.length === 0 ? null : met.length / line.length,
    leak: found.length === 0 ? 0 : leaked.length / found.length,
  };
}

/**
 * True lumen that a scan connects with its windpipe: bronchi that are cut off from it below or above are nothing that
 * can be followed. A tree that ends in a cross-section as large as a windpipe has one.
 */
function belowWindpipe(marks, shape, spacingMm) {
  const plane = shape[1] * shape[2];
  const touching = offsets(shape, (z, y, x) => Math.max(Math.abs(z), Math.abs(y), Math.abs(x)) === 1);
  const lumen = placesOf(marks, (mark) => [LUMEN, CENTRELINE].includes(mark & WHAT));
  const left = new Set(lumen);
  const reached = [];
  for (const first of lumen) {
    if (!left.delete(first)) continue;
    const tree = [first];
    for (let done = 0; done < tree.length; done++) {
      for (const offset of touching) if (left.delete(tree[done] + offset)) tree.push(tree[done] + offset);
    }
    const slices = tree.map((i) => Math.floor(i / plane));
    const ends = [slices.reduce((a, b) => Math.min(a, b)), slices.reduce((a, b) => Math.max(a, b))];
    const areas = ends.map((end) => slices.filter((slice) => slice === end).length * spacingMm[1] * spacingMm[2]);
    if (Math.max(...areas) >= WINDPIPE_MM2) for (const i of tree) reached.push(i);
  }
  return reached;
}

/** Indices of the bytes that hold; a table asks once a value. */
function placesOf(bytes, holds) {
  const table = Uint8Array.from({ length: 256 }, (_, value) => (holds(value) ? 1 : 0));
  const places = [];
  for (let i = 0; i < bytes.length; i++) if (table[bytes[i]] === 1) places.push(i);
  return places;
}

/** Steps in the array to the neighbours for which `holds(z, y, x)`, the voxel itself first. */
function offsets([, ny, nx], holds) {
  const found = [];
  for (let z = -3; z <= 3; z++) {
    for (let y = -3; y <= 3; y++) for (let x = -3; x <= 3; x++) if (holds(z, y, x)) found.push((z * ny + y) * nx + x);
  }
  return found.sort((a, b) => Math.abs(a) - Math.abs(b));
}

/**
 * Dice of vessel labels with those of the plain scan, by class and side, on the voxels that lie in both scans with the
 * same HU; and how many voxels are labelled outside the body.
 */
export function comparedLabels({ scan, truth, offset, compare }, labels, plain) {
  const [moved, marks, hu] = [labels, truth, scan].map(canonical);
  let outside = 0;
  for (let i = 0; i < moved.data.length; i++) {
    const what = marks.data[i] & WHAT;
    if (moved.data[i] !== 0 && (what === AIR || what === IGNORED)) outside += 1;
  }
  if (!compare) return { outside };
  const counts = new Float64Array(25);
  const [nz, ny, nx] = moved.shape;
  const [oz, oy, ox] = offset;
  const [pz, py, px] = plain.scan.shape;
  for (let z = Math.max(0, -oz); z < Math.min(nz, pz - oz); z++) {
    for (let y = Math.max(0, -oy); y < Math.min(ny, py - oy); y++) {
      const [to, from] = [(z * ny + y) * nx, ((z + oz) * py + y + oy) * px + ox];
      for (let x = Math.max(0, -ox); x < Math.min(nx, px - ox); x++) {
        if (hu.data[to + x] !== plain.scan.data[from + x]) continue;
        counts[5 * moved.data[to + x] + plain.labels[from + x]] += 1;
      }
    }
  }
  return { outside, ...Object.fromEntries(GROUPS.map(([name, values]) => [name, diceOf(counts, values)])) };
}

/** Labels follow the order of the prompts. */
const GROUPS = [['artery', [1, 2]], ['vein', [3, 4]], ...PROMPTS.map((prompt, i) => [prompt, [i + 1]])];

function diceOf(counts, values) {
  let [both, each] = [0, 0];
  for (let a = 0; a < 5; a++) {
    for (let b = 0; b < 5; b++) {
      const [first, second] = [values.includes(a), values.includes(b)];
      if (first && second) both += counts[5 * a + b];
      each += (Number(first) + Number(second)) * counts[5 * a + b];
    }
  }
  return each === 0 ? null : (2 * both) / each;
}
