// The picture of docs/phantoms.md: `node benches/phantom-pictures.mjs DATA PICTURE`. DATA is a folder of phantoms, made
// with `pulmoav phantom -o DATA --seed 4001 --count 16`; each becomes two slices, lumens in yellow, arteries in blue,
// veins in red in the lower one.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { readVolume } from '../dist/index.js';

const PIXEL_MM = 2;
const SIDE = 176;
const COLUMNS = 8;
const WINDOW_HU = [-1050, 400];
const COLOURS = { 1: [70, 110, 255], 2: [255, 80, 70], 5: [255, 220, 40] };

const [data, picture] = process.argv.slice(2);
const { cases } = JSON.parse(readFileSync(join(data, 'dataset.json'), 'utf8'));
const tiles = [];
for (const name of Object.keys(cases).sort()) {
  const map = (folder, file = name) => readVolume(join(data, folder, `${file}.nii.gz`));
  const [hu, labels, anatomy] = await Promise.all([map('imagesTr', `${name}_0000`), map('labelsTr'), map('anatomyTr')]);
  const marks = labels.data.map((label, i) => label || (anatomy.data[i] >= 5 ? 5 : 0));
  tiles.push([axial(hu, null, 0.66), axial(hu, marks, 0.5)]);
}
const rows = Math.ceil(tiles.length / COLUMNS);
const [width, height] = [COLUMNS * SIDE, rows * 2 * SIDE];
const rgb = new Uint8Array(width * height * 3);
for (const [i, pair] of tiles.entries()) {
  for (const [j, tile] of pair.entries()) {
    const left = (i % COLUMNS) * SIDE;
    const top = (Math.floor(i / COLUMNS) * 2 + j) * SIDE;
    for (let y = 0; y < SIDE; y++) {
      rgb.set(tile.subarray(y * SIDE * 3, (y + 1) * SIDE * 3), ((top + y) * width + left) * 3);
    }
  }
}
writeFileSync(picture, encode({ width, height, data: rgb, channels: 3, depth: 8 }));

/** An axial slice this share of the way up, the patient's right at the left, the front on top. */
function axial(hu, marks, share) {
  const [nz, ny, nx] = hu.shape;
  const [, sy, sx] = hu.spacingMm;
  const base = Math.floor(share * (nz - 1)) * ny * nx;
  const tile = new Uint8Array(SIDE * SIDE * 3);
  for (let row = 0; row < SIDE; row++) {
    const y = Math.round(ny / 2 + ((SIDE / 2 - row) * PIXEL_MM) / sy);
    for (let column = 0; column < SIDE; column++) {
      const x = Math.round(nx / 2 + ((SIDE / 2 - column) * PIXEL_MM) / sx);
      if (y < 0 || y >= ny || x < 0 || x >= nx) continue;
      const i = base + y * nx + x;
      const grey = Math.max(0, Math.min(255, ((hu.data[i] - WINDOW_HU[0]) / (WINDOW_HU[1] - WINDOW_HU[0])) * 255));
      tile.set(COLOURS[marks?.[i]] ?? [grey, grey, grey], (row * SIDE + column) * 3);
    }
  }
  return tile;
}
