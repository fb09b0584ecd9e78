// Input: one phantom, stretched to several sizes up to 512 × 512 × 1200, each segmented in a fresh process. Expected:
// the peak is at least 3/4 of what was predicted and never more, and of large scans at most 4 bytes a voxel and 250 MB:
// int16 voxels, labels, and what else is alive in any stage. Peer: none.
import { join } from 'node:path';
import { readVolume } from '../../dist/index.js';
import { modelFacts, pulmoav } from '../machine.mjs';
import { stretched, testPhantoms } from '../phantoms.mjs';
import { three, within } from '../table.mjs';

export const about = 'predicted against peak memory, up to 512 × 512 × 1200, fresh processes (--count N sizes)';

/** `[z, y, x]`; the phantom's own size first. */
const SHAPES = [null, [200, 256, 256], [400, 512, 512], [1200, 512, 512]];
const MIN_SHARE = 0.75;
/** Voxels from which the bound below holds; small scans take less than the program and one tile. */
const LARGE_VOXELS = 100e6;
const MOST_BYTES_A_VOXEL = 4;
const MOST_MORE_MB = 250;

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const [phantom] = await testPhantoms(context, 1);
  const cases = [];
  for (const shape of SHAPES.slice(0, context.count)) {
    const input = shape ? await stretched(phantom, shape, context) : phantom.image;
    cases.push(measured(input, await readShape(shape, phantom), path, context));
  }
  const columns = ['shape z y x', 'predicted MiB', 'peak MiB', 'peak / predicted', 's'];
  const mib = (bytes) => Math.round(bytes / 2 ** 20);
  const rows = cases.map((one) => [
    one.shape.join(' '),
    mib(one.predictedBytes),
    mib(one.peakBytes),
    one.share,
    three(one.seconds.total),
  ]);
  const shares = cases.map(({ shape, share }) =>
    within(`peak / predicted at ${shape.join(' × ')}`, share, { least: MIN_SHARE, most: 1 }),
  );
  const checks = [...shares, ...cases.flatMap(bounded)];
  return { model, cases, tables: [{ title: 'Memory', columns, rows }], checks };
}

/** What the peak of a large scan is above the bytes of its voxels. */
function bounded({ shape, peakBytes }) {
  const voxels = shape.reduce((product, size) => product * size, 1);
  if (voxels < LARGE_VOXELS) return [];
  const what = `peak above ${MOST_BYTES_A_VOXEL} bytes a voxel at ${shape.join(' × ')}, MB`;
  return [within(what, three((peakBytes - MOST_BYTES_A_VOXEL * voxels) / 1e6), { most: MOST_MORE_MB })];
}

async function readShape(shape, { image }) {
  return shape ?? (await readVolume(image)).shape;
}

function measured(input, shape, model, { work, threads, say }) {
  const flags = threads === undefined ? [] : ['--threads', String(threads)];
  const output = join(work, 'labels.nii.gz');
  const { memory, seconds } = pulmoav('segment', input, '-o', output, '--model', model, '--overwrite', ...flags);
  const share = three(memory.peakBytes / memory.predictedBytes);
  say(`${shape.join(' × ')}: predicted ${memory.predictedBytes}, peak ${memory.peakBytes}, share ${share}`);
  return { shape, ...memory, share, seconds };
}
