// What lies above and below a chest, and ways by which air of the windpipe reaches the air outside.

import { limb } from './beside.mjs';
import { bared, trunkMm, windpipe } from './body.mjs';
import { distanceMm, filledSlices } from './distance.mjs';
import {
  AIR,
  AIR_HU,
  BODY,
  clamped,
  copied,
  grown,
  IGNORED,
  norm,
  randomOf,
  sizeMm,
  smoothNoise,
  visit,
  WHAT,
} from './study.mjs';

/** Most voxels that a variant may add to a scan: less is appended to fine slices. */
const MAX_ADDED = 20e6;
/** Wall of a pocket of gas. */
const WALL_MM = 4;

export const variants = [
  { kind: 'open windpipe', name: '3 × 5 mm to the skin', make: tracheostomy },
  { kind: 'open windpipe', name: '14 mm through the mouth', make: (study) => headed(study, 230, true) },
  { kind: 'beyond', name: 'neck', make: (study) => headed(study, 80, false) },
  { kind: 'beyond', name: 'neck and head', make: (study) => headed(study, 300, false) },
  { kind: 'beyond', name: 'abdomen', make: (study, random) => footed(study, 250, 0, random) },
  { kind: 'beyond', name: 'abdomen and legs', make: (study, random) => footed(study, 220, 160, random) },
  {
    kind: 'beyond',
    name: 'head to legs',
    make: (study, random) => footed(headed(study, 300, false), 220, 120, random),
  },
].map((one) => ({
  ...one,
  compare: true,
  whole: true,
  large: !['neck and head', 'abdomen and legs'].includes(one.name),
}));

/** A channel from the windpipe to the skin in front, high up. */
function tracheostomy(study) {
  const pipe = windpipe(study);
  if (!pipe) return null;
  const result = copied(study);
  const { scan, marks } = result;
  const [dz] = scan.spacingMm;
  const { z, xMm, yMm } = pipe[Math.min(pipe.length - 1, Math.round(10 / dz))];
  const zMm = (z + 0.5) * dz;
  const halves = [2.5, 1.5].map((mm, i) => Math.max(mm, 0.5 * scan.spacingMm[i === 0 ? 0 : 2] + 0.01));
  const [, tall] = sizeMm(scan);
  visit(scan, [zMm - halves[0], yMm, xMm - halves[1]], [zMm + halves[0], tall, xMm + halves[1]], (at, x, _y, vz) => {
    if (Math.abs(x - xMm) > halves[1] || Math.abs(vz - zMm) > halves[0] || (marks.data[at] & WHAT) === AIR) return;
    scan.data[at] = AIR_HU;
    marks.data[at] = IGNORED;
  });
  return { ...result, look: { zMm } };
}

function lengthMm(study, wantedMm) {
  const { shape, spacingMm } = study.scan;
  return Math.min(wantedMm, (MAX_ADDED / (shape[1] * shape[2])) * spacingMm[0]);
}

/** Shoulders that slope to a neck, and as much of a head as there is room for. */
function headed(study, wantedMm, open) {
  const pipe = windpipe(study);
  if (!pipe && open) return null;
  const closed = bared(study, {});
  const base = study.scan.shape[0];
  const high = lengthMm(study, wantedMm);
  const wide = grown(closed, { above: high });
  const { scan, marks } = wide;
  const [, ny, nx] = scan.shape;
  const top = filledSlices(
    marks.data.slice((base - 1) * ny * nx, base * ny * nx).map((mark) => ((mark & WHAT) === AIR ? 0 : 1)),
    [1, ny, nx],
  );
  const depth = distanceMm((i) => top[i] === 0, [1, ny, nx], scan.spacingMm, 2);
  const trunk = trunkMm(wide, (base - 3) / scan.shape[0], base / scan.shape[0]);
  const middle = pipe ? [pipe[0].xMm, pipe[0].yMm] : [trunk.middle, (trunk.back + trunk.front) / 2];
  const shape = headShape(middle, pipe?.[0].radiusMm ?? 8, { ...trunk, base: base * scan.spacingMm[0] }, open);
  const random = randomOf(41);
  const [tall, height, width] = sizeMm(scan);
  visit(scan, [base * scan.spacingMm[0], 0, 0], [tall, height, width], (at, x, y, z) => {
    const found = shape(x, y, z - base * scan.spacingMm[0], depth[at % (ny * nx)]);
    if (!found) return;
    scan.data[at] = clamped(found.hu + 9 * random.normal());
    marks.data[at] = found.what;
  });
  return wide;
}

/** HU and mark at a height over the old top, by the depth in the top slice's outline; `null` for air. */
export function headShape([x0, y0], pipeMm, { back }, open) {
  // The neck's middle lies behind the windpipe; nothing of it may lie behind the back.
  const yNeck = Math.max(y0 - 22, back + 60);
  return (x, y, h, outline) => {
    const shoulder = outline - 1.3 * h;
    const neck = (1 - norm((x - x0) / 62, (y - yNeck) / 68)) * 62;
    const skull = (1 - norm((x - x0) / 76, (y - yNeck - 12) / 98, (h - 190) / 112)) * 85;
    const depth = Math.max(shoulder, neck - Math.max(0, h - 130), skull);
    if (depth <= 0) return null;
    if (Math.abs(x - x0) < 22 && inAirway(x - x0, y - y0, h, pipeMm, open)) return PHARYNX;
    return { hu: headHu({ depth, skull, h }, norm((x - x0) / 14, (y - yNeck + 22) / 15) < 1), what: BODY };
  };
}

const PHARYNX = { hu: AIR_HU, what: IGNORED };

/** Windpipe, throat, mouth and nose; an open mouth has a channel of 14 mm to the air before the face. */
function inAirway(x, y, h, pipeMm, open) {
  return (
    (h < 100 && norm(x, y - 0.06 * h) < Math.max(open ? 7 : 5, pipeMm - 0.02 * h)) ||
    (h >= 95 && h < 165 && norm(x / 13, (y + 2) / 9) < 1) ||
    norm(x / 20, (y - 26) / 28, (h - 118) / 11) < 1 ||
    norm(x / 16, (y - 28) / 30, (h - 158) / 14) < 1 ||
    (open && y > 0 && norm(x, h - 118) < 7)
  );
}

function headHu({ depth, skull, h }, spine) {
  if (skull > 0 && h > 150) return skull < 2 ? 10 : skull < 6 ? -90 : skull < 13 ? 950 : 36;
  if (spine && h < 170) return 320;
  return depth < 2 ? 10 : depth < 11 ? -100 : 55;
}

/** An abdomen with gas in its bowel below the scan's lowest slice, and legs below it. */
function footed(study, abdomenMm, legsMm, random) {
  const closed = bared(study, {});
  const share = lengthMm(study, abdomenMm + legsMm) / (abdomenMm + legsMm);
  const [belly, legs] = [abdomenMm * share, legsMm * share];
  const wide = grown(closed, { below: belly + legs });
  const { scan, marks } = wide;
  const [, ny, nx] = scan.shape;
  const [dz] = scan.spacingMm;
  const base = scan.shape[0] - closed.scan.shape[0];
  const outline = filledSlices(
    marks.data.slice(base * ny * nx, (base + 1) * ny * nx).map((mark) => ((mark & WHAT) === AIR ? 0 : 1)),
    [1, ny, nx],
  );
  const depth = distanceMm((i) => outline[i] === 0, [1, ny, nx], scan.spacingMm, 2);
  const trunk = trunkMm(wide, base / scan.shape[0], (base + 2) / scan.shape[0]);
  const from = Math.round(legs / dz);
  fillAbdomen(wide, { from, to: base, depth, trunk }, random);
  if (legs > 0) addLegs(wide, from * dz, trunk);
  return wide;
}

function addLegs(study, topMm, { left, right, back, front }) {
  const [y, radius] = [(back + front) / 2, Math.min(85, (right - left) * 0.22)];
  for (const side of [-1, 1]) {
    const x = (left + right) / 2 + side * (radius + 10);
    limb(
      study,
      [
        [x, y, -120],
        [x, y, topMm - 1],
      ],
      radius,
      IGNORED,
      14,
    );
  }
}

/** Soft tissue, fat, a spine and pockets of gas with walls, on the slices `from` to `to`. */
export function fillAbdomen({ scan, marks }, { from, to, depth, trunk }, random, sizesMm = [20, 60], count = 26) {
  const [, ny, nx] = scan.shape;
  const [dz, dy, dx] = scan.spacingMm;
  const fat = smoothNoise(random.unit() * 1e9, 30);
  const spineY = trunk.back + 0.26 * (trunk.front - trunk.back);
  const gas = pockets(
    { lowMm: from * dz, highMm: to * dz, depth, trunk, ny, nx, dy, dx, spineY },
    random,
    sizesMm,
    count,
  );
  visit(scan, [from * dz, 0, 0], [to * dz, ny * dy, nx * dx], (at, x, y, z) => {
    const inside = depth[at % (ny * nx)];
    if (inside <= 0) return;
    let hu = inside < 2 ? 10 : inside < 16 ? -100 : inside < 26 ? 55 : fat(x, y, z) > 0.35 ? -95 : 45;
    if (norm(x - trunk.middle, y - spineY) < 20) hu = 260;
    scan.data[at] = clamped(hu + 9 * random.normal());
    marks.data[at] = BODY;
  });
  for (const { x, y, z, r } of gas) {
    const most = r + WALL_MM;
    visit(scan, [z - 1.25 * most, y - most, x - most], [z + 1.25 * most, y + most, x + most], (at, vx, vy, vz) => {
      const off = norm(vx - x, vy - y, (vz - z) * 0.8) - r;
      if (off < WALL_MM) scan.data[at] = clamped((off < 0 ? AIR_HU : 40) + 9 * random.normal());
    });
  }
}

/** Balls that lie deep enough and apart from each other, with walls of 4 mm. */
function pockets({ lowMm, highMm, depth, trunk, ny, nx, dy, dx, spineY }, random, [least, most], count) {
  const found = [];
  for (let attempt = 0; attempt < 60 * count && found.length < count; attempt++) {
    const r = random.within(least, most) / 2;
    const [x, y] = [random.within(trunk.left, trunk.right), random.within(trunk.back, trunk.front)];
    const z = random.within(lowMm, highMm);
    const [i, j] = [Math.floor(x / dx), Math.floor(y / dy)];
    if (i < 0 || j < 0 || i >= nx || j >= ny || depth[j * nx + i] < r + 28) continue;
    if (z - r * 1.3 - 5 < lowMm || z + r * 1.3 + 5 > highMm || norm(x - trunk.middle, y - spineY) < r + 26) continue;
    if (found.some((other) => norm(x - other.x, y - other.y, (z - other.z) * 0.8) < r + other.r + 9)) continue;
    found.push({ x, y, z, r });
  }
  return found;
}
