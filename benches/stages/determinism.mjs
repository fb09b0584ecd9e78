// Input: a block of a phantom (--whole: all of it). Expected: the same bytes for 1 and 2 threads and for repeated runs,
// the same labels for all 48 orientations, and sides that add up. Peer: none; the answer is equality.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isPulmoavError, readVolume, Segmenter, writeVolume } from '../../dist/index.js';
import { modelFacts, pulmoav, sha256 } from '../machine.mjs';
import { allOrientations, reoriented, restored } from '../orientations.mjs';
import { testPhantoms } from '../phantoms.mjs';
import { crop } from '../resample.mjs';
import { that, three, within } from '../table.mjs';

export const about =
  'same bits over threads, runs and 48 orientations; left + right artery = artery (--count N orientations, --whole)';

/** A block about the hila that fits into few tiles: shares of the phantom to leave away, and its size in mm, `[z, y, x]`. */
const BLOCK_MM = [70, 115, 190];
const SIDED = ['left artery', 'right artery'];

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const [phantom] = await testPhantoms(context, 1);
  const scan = await readVolume(phantom.image);
  const part = context.whole ? scan : block(scan);
  const input = join(context.work, 'part.nii.gz');
  await writeVolume(input, part);
  const runs = overRuns(input, path, context);
  const segmenter = await Segmenter.load({ model: path, threads: context.threads });
  const turned = await overOrientations(segmenter, part, context);
  const sides = await sidesTogether(segmenter, scan, context);
  segmenter.dispose();
  const rows = [
    ['threads 1, 2, 2', `${new Set(runs.hashes).size} distinct outputs`],
    ['orientations', `${turned.same} of ${turned.tried} the same`],
    ['left + right artery against artery', sides.refused ?? `Dice ${sides.dice}`],
  ];
  const checks = [
    that('1 and 2 threads and repeated runs give the same bytes', new Set(runs.hashes).size === 1),
    that('every orientation gives the same labels', turned.same === turned.tried),
    that('the block holds vessels', turned.voxels > 0),
    within('Dice of left + right artery with artery', sides.dice, { least: 0.95 }),
  ];
  return { model, runs, turned, sides, tables: [{ title: 'Determinism', columns: ['over', 'result'], rows }], checks };
}

/** The middle of a scan. */
function block(scan) {
  const size = BLOCK_MM.map((mm, axis) => Math.min(scan.shape[axis], Math.round(mm / scan.spacingMm[axis])));
  const low = size.map((n, axis) => (scan.shape[axis] - n) >> 1);
  return crop(scan, low, size);
}

/** Label map and probabilities of fresh processes, as hashes. */
function overRuns(input, model, { work, say }) {
  const hashes = [1, 2, 2].map((threads, index) => {
    const [output, probabilities] = ['labels', 'probabilities'].map((name) => join(work, `${name}-${index}.nii`));
    const files = ['-o', output, '--probabilities', probabilities];
    const { seconds } = pulmoav(
      'segment',
      input,
      ...files,
      '--overwrite',
      '--model',
      model,
      '--threads',
      String(threads),
    );
    say(`${threads} threads: ${seconds.total.toFixed(1)} s`);
    const hash = [output, probabilities].map((file) => sha256(file).slice(0, 16)).join(' ');
    for (const file of [output, probabilities]) rmSync(file);
    return hash;
  });
  return { hashes };
}

async function overOrientations(segmenter, part, { count, say }) {
  const [first, ...others] = allOrientations().slice(0, count);
  const { labels: expected } = await segmenter.segment(reoriented(part, first));
  const voxels = expected.data.reduce((sum, label) => sum + (label ? 1 : 0), 0);
  let same = 1;
  for (const orientation of others) {
    const { labels } = await segmenter.segment(reoriented(part, orientation));
    const equal = Buffer.from(restored(labels.data, part.shape, orientation)).equals(Buffer.from(expected.data));
    if (equal) same += 1;
    say(
      `axes ${orientation.axes.join('')} flips ${orientation.flips.map(Number).join('')}: ${equal ? 'same' : 'OTHER'}`,
    );
  }
  return { same, tried: others.length + 1, voxels };
}

/** Dice of the two sides together with the artery prompt, on the whole phantom. */
async function sidesTogether(segmenter, scan, { say }) {
  const { labels: whole } = await segmenter.segment(scan, { prompts: ['artery'] });
  const sided = await sidesOf(segmenter, scan);
  if (sided.refused) return { dice: null, ...sided };
  let [both, sum] = [0, 0];
  const voxels = new Map();
  for (let i = 0; i < whole.data.length; i++) {
    const [a, b] = [whole.data[i] ? 1 : 0, sided.labels.data[i] ? 1 : 0];
    both += a & b;
    sum += a + b;
    if (b) voxels.set(sided.labels.data[i], (voxels.get(sided.labels.data[i]) ?? 0) + 1);
  }
  const dice = sum === 0 ? null : three((2 * both) / sum);
  say(`sides together: Dice ${dice}`);
  return { dice, voxels: Object.fromEntries(voxels) };
}

/** The sided prompts' labels, or why the model does not take them. */
async function sidesOf(segmenter, scan) {
  try {
    return await segmenter.segment(scan, { prompts: SIDED });
  } catch (error) {
    if (isPulmoavError(error)) return { refused: error.message };
    throw error;
  }
}
