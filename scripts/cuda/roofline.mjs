// How long the kernels of a plain U-Net take at least, on paper: for each launch of crates/ops/benches/unet.rs the
// operations and the bytes that cannot be avoided, and the longer of the two times that a card needs for them.
// `node scripts/cuda/roofline.mjs` writes it into benches/record/cuda-kernels.json, as scripts/cuda/report.mjs does.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main, root } from './command.mjs';
import { writeChanged } from './files.mjs';

const FEATURES = [32, 64, 128, 256, 320, 320];
const CLASSES = 3;
const BF16 = 2;

/** Operations a second of tensor cores in bf16 with sums in f32, of f32 arithmetic, and bytes a second of memory. */
export const cards = {
  // A product of matrices and a copy as they were measured; f32 by the data sheet.
  H200: { tensor: 790e12, plain: 67e12, bytes: 4.3e12 },
  // Data sheets: A100 80 GB SXM; GeForce RTX 4090.
  A100: { tensor: 312e12, plain: 19.5e12, bytes: 2.039e12 },
  'RTX 4090': { tensor: 165.2e12, plain: 82.6e12, bytes: 1.008e12 },
};

/** What a forward pass launches, in its order. */
function launches(patch, batch) {
  const voxels = (stage) => batch * (patch >> stage) ** 3;
  const all = [];
  const convolve = (layer, [inputs, ci], [outputs, co], taps, voxelsOfProduct) => {
    const isTensor = ci % 8 === 0 && co % 8 === 0;
    const kernel = isTensor ? 'tensor_convolve' : 'convolve';
    const flop = 2 * taps * voxelsOfProduct * ci * co;
    const bytes = BF16 * (inputs * ci + outputs * co + taps * ci * co);
    all.push({ layer, kernel, isTensor, flop, bytes });
  };
  const norm = (layer, stage, channels) => {
    const values = voxels(stage) * channels;
    // Read once for the moments, then read and written by what applies them.
    all.push({ layer, kernel: 'norm_spreads', isTensor: false, flop: 3 * values, bytes: BF16 * values });
    all.push({ layer, kernel: 'norm_apply', isTensor: false, flop: 3 * values, bytes: 2 * BF16 * values });
  };
  const block = (layer, from, stage, ci, co) => {
    convolve(layer, [voxels(from), ci], [voxels(stage), co], 27, voxels(stage));
    norm(layer, stage, co);
  };
  for (const [stage, width] of FEATURES.entries()) {
    block(`down ${stage}, first`, Math.max(0, stage - 1), stage, FEATURES[stage - 1] ?? 1, width);
    block(`down ${stage}, second`, stage, stage, width, width);
  }
  for (let stage = FEATURES.length - 2; stage >= 0; stage--) {
    const [fine, coarse] = [FEATURES[stage], FEATURES[stage + 1]];
    // Eight taps, each for the one eighth of the results that is its own.
    convolve(`up ${stage}, transposed`, [voxels(stage + 1), coarse], [voxels(stage), fine], 8, voxels(stage + 1));
    block(`up ${stage}, first`, stage, stage, 2 * fine, fine);
    block(`up ${stage}, second`, stage, stage, fine, fine);
  }
  convolve('head', [voxels(0), FEATURES[0]], [voxels(0), CLASSES], 1, voxels(0));
  return all;
}

function seconds({ tensor, plain, bytes }, { isTensor, ...launch }) {
  return Math.max(launch.flop / (isTensor ? tensor : plain), launch.bytes / bytes);
}

/** The estimate for the U-Net of the bench: launches of the same kernel and layer, and what they add up to. */
export function roofline(patch = 128, batch = 1) {
  const rows = launches(patch, batch).map((launch) => {
    const { layer, kernel, flop, bytes } = launch;
    const times = Object.entries(cards).map(([name, card]) => [name, Number((seconds(card, launch) * 1e6).toFixed(1))]);
    return {
      layer,
      kernel,
      gflop: Number((flop / 1e9).toFixed(2)),
      mebibytes: mebibytes(bytes),
      us: fromEntries(times),
    };
  });
  const names = Object.keys(cards);
  const sum = (some) =>
    fromEntries(
      names.map((name) => [name, Number((some.reduce((total, { us }) => total + us[name], 0) / 1e3).toFixed(3))]),
    );
  const kernels = [...new Set(rows.map(({ kernel }) => kernel))];
  return {
    about: `plain U-Net of crates/ops/benches/unet.rs, forward, bf16, ${patch}³, batch ${batch}: least times on paper`,
    cards,
    launches: rows,
    ms: Object.fromEntries(kernels.map((kernel) => [kernel, sum(rows.filter((row) => row.kernel === kernel))])),
    totalMs: sum(rows),
  };
}

const fromEntries = (entries) => Object.fromEntries(entries);
const mebibytes = (bytes) => Number((bytes / 2 ** 20).toFixed(2));

/** A record as it is written: a row of kernels or launches a line. */
export function written({ kernels, roofline: estimate, ...head }) {
  const rows = (all, indent) => all.map((row) => `${indent}${JSON.stringify(row)}`).join(',\n');
  const { launches: all, ...rest } = estimate;
  const told = JSON.stringify(rest, null, 2).slice(2, -2).replace(/^/gm, '  ');
  const start = JSON.stringify(head, null, 2).slice(0, -2);
  return `${start},\n  "roofline": {\n${told},\n    "launches": [\n${rows(all, '      ')}\n    ]\n  },\n  "kernels": [\n${rows(kernels, '    ')}\n  ]\n}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(() => {
    const file = join(root, 'benches/record/cuda-kernels.json');
    const record = JSON.parse(readFileSync(file, 'utf8'));
    writeChanged(file, written({ ...record, roofline: roofline() }));
    const { ms, totalMs } = roofline();
    for (const [kernel, times] of Object.entries({ ...ms, all: totalMs }))
      process.stdout.write(
        `${kernel}: ${Object.entries(times)
          .map(([card, time]) => `${card} ${time} ms`)
          .join(', ')}\n`,
      );
  });
}
