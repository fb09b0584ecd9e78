// Input: a phantom in three numbers of voxels on the same body, and a block cut out of it so that the body grows too; a
// plain U-Net's forward pass at three sizes of patch. Each with one thread and with two. Expected: nothing; the figures
// say how cost grows. Peer: none.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readVolume, writeVolume } from '../../dist/index.js';
import { modelFacts, pulmoav } from '../machine.mjs';
import { stretched, testPhantoms } from '../phantoms.mjs';
import { cargoBench } from '../processes.mjs';
import { crop } from '../resample.mjs';
import { significant, three } from '../table.mjs';

export const about = 'how cost grows with voxels, body, threads and patch';

/** `[z, y, x]` on the same body. */
const SHAPES = [
  [100, 128, 128],
  [200, 256, 256],
  [400, 512, 512],
];
/** Shares of the body's slices, at its own voxel size. */
const SHARES = [0.25, 0.5, 1];
const PATCHES = [64, 96, 128];
const THREADS = [1, 2];

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const [phantom] = await testPhantoms(context, 1);
  const inputs = [];
  for (const shape of SHAPES) {
    inputs.push({ what: `same body, ${shape.join(' × ')}`, file: await stretched(phantom, shape, context) });
  }
  for (const share of SHARES)
    inputs.push({ what: `${share * 100} % of the slices`, file: await slices(phantom, share, context) });
  const volumes = THREADS.flatMap((threads) =>
    inputs.map(({ what, file }) => segmented(what, file, path, threads, context)),
  );
  const patches = THREADS.flatMap((threads) => PATCHES.map((patch) => forward(patch, threads)));
  return { model, volumes, patches, tables: [volumeTable(volumes), patchTable(patches)] };
}

async function slices({ name, image }, share, { work }) {
  if (share === 1) return image;
  const file = join(work, `${name}-${share}.nii.gz`);
  if (!existsSync(file)) {
    const volume = await readVolume(image);
    const [depth, height, width] = volume.shape;
    const kept = Math.round(depth * share);
    await writeVolume(file, crop(volume, [(depth - kept) >> 1, 0, 0], [kept, height, width]));
  }
  return file;
}

function segmented(what, file, model, threads, { work, say }) {
  const output = join(work, 'labels.nii.gz');
  const { seconds, memory } = pulmoav(
    'segment',
    file,
    '-o',
    output,
    '--overwrite',
    '--model',
    model,
    '--threads',
    String(threads),
  );
  say(`${what}, ${threads} threads: ${three(seconds.total)} s`);
  return { what, threads, seconds, peakBytes: memory.peakBytes };
}

function forward(patch, threads) {
  const [row] = cargoBench('unet', ['--json', '--patch', patch, '--threads', threads, '--repeats', 1]);
  return { patch, threads, ...row };
}

function volumeTable(volumes) {
  const columns = ['scan', 'threads', 'prepare s', 'network s', 'restore s', 'write s', 'total s', 'peak MiB'];
  const rows = volumes.map(({ what, threads, seconds, peakBytes }) => [
    what,
    threads,
    ...['prepare', 'network', 'restore', 'write', 'total'].map((part) => three(seconds[part])),
    Math.round(peakBytes / 2 ** 20),
  ]);
  return { title: 'Scans', columns, rows };
}

function patchTable(patches) {
  const columns = ['patch', 'threads', 's', 'µs a voxel', 'GFLOP/s', 'peak MiB'];
  const rows = patches.map(({ patch, threads, seconds, gflop, peakBytes }) => [
    `${patch}³`,
    threads,
    significant(seconds),
    significant((seconds * 1e6) / patch ** 3),
    Math.round(gflop / seconds),
    Math.round(peakBytes / 2 ** 20),
  ]);
  return { title: 'U-Net forward', columns, rows };
}
