// Input: predictions of varied quality: phantoms of seeds never trained on, as they are and with noise added, each labelled
// without tidying. Expected: the figures that `pulmoav check` says follow errors have a rank correlation of at least 0.6
// with the swapped share in the lungs. Label maps are kept between runs.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkLabels, evaluate, readVolume, Segmenter, writeVolume } from '../../dist/index.js';
import { addonHash, modelFacts } from '../machine.mjs';
import { testPhantoms } from '../phantoms.mjs';
import { spearman } from '../spearman.mjs';
import { three, within } from '../table.mjs';

export const about = 'how figures without a reference follow the true swaps (--count N, --model M)';

const PHANTOMS = 12;
const FIRST_SEED = 960_101;
const LEAST = 0.6;
/** Noise that is added to a scan, its standard deviation in HU. */
const VARIANTS = { off: 0, noise: 100, noisier: 220 };

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const phantoms = await testPhantoms(context, context.count ?? PHANTOMS, FIRST_SEED);
  const folder = join(context.work, `${model.sha256.slice(0, 12)}-${addonHash().slice(0, 12)}`);
  mkdirSync(folder, { recursive: true });
  const segmenter = await Segmenter.load({ model: path, threads: context.threads });
  const cases = [];
  for (const phantom of phantoms) {
    for (const name of Object.keys(VARIANTS)) cases.push(await measured(phantom, name, segmenter, folder, context));
  }
  segmenter.dispose();
  const swaps = cases.map(({ swapRate }) => swapRate);
  const names = Object.keys(cases[0].figures);
  const follows = Object.fromEntries(names.map((name) => [name, followed(cases, name, swaps)]));
  const rows = names.map((name) => [
    name,
    three(follows[name].all),
    three(follows[name].unchanged),
    ...range(cases, name),
  ]);
  const columns = ['figure', 'rank correlation', 'scans as they are', 'lowest', 'median', 'highest'];
  const table = { title: 'Figures without a reference and swaps', columns, rows };
  const kept = names.filter((name) => cases[0].kinds[name] === 'followsErrors');
  const checks = kept.map((name) => within(name, three(Math.abs(follows[name].all)), { least: LEAST }));
  return { model, cases, follows, tables: [table], checks };
}

async function measured({ name, image, label, lungs }, variant, segmenter, folder, { threads, say }) {
  const scan = variant === 'off' ? image : join(folder, `${name}-${variant}-scan.nii.gz`);
  const labels = join(folder, `${name}-${variant}.nii.gz`);
  if (!existsSync(labels)) {
    if (scan !== image) await writeVolume(scan, noisy(await readVolume(image), VARIANTS[variant]), { like: image });
    await writeVolume(labels, (await segmenter.segment(scan, { tidy: false })).labels, { like: image });
  }
  const { vessels } = await evaluate(labels, label, { within: lungs });
  const checked = await checkLabels(labels, { image: scan, threads });
  const of = (key) => Object.fromEntries(checked.figures.map((figure) => [figure.name, figure[key]]));
  say(`${name} ${variant}: swapped ${three(vessels.swapRate)}, ${checked.light}`);
  const { seconds, light } = checked;
  return { name, variant, swapRate: vessels.swapRate, light, figures: of('value'), kinds: of('kind'), seconds };
}

/** A scan with Gaussian noise of a fixed seed. */
function noisy(volume, noiseHu) {
  const data = Float32Array.from(volume.data);
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  for (let i = 0; i < data.length; i++) {
    data[i] += noiseHu * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  }
  return { ...volume, data: Int16Array.from(data, (hu) => Math.max(-1024, Math.min(3071, Math.round(hu)))) };
}

/** Spearman's rank correlation of a figure with the swaps: over all predictions, and over those of plain scans. */
function followed(cases, name, swaps) {
  const of = (wanted) => {
    const pairs = cases.map((one, index) => [one.figures[name], swaps[index], one.variant]);
    const known = pairs.filter(([value, , variant]) => value !== null && wanted(variant));
    return spearman(
      known.map(([value]) => value),
      known.map(([, swap]) => swap),
    );
  };
  return { all: of(() => true), unchanged: of((variant) => variant === 'off') };
}

function range(cases, name) {
  const values = cases.map(({ figures }) => figures[name]).filter((value) => value !== null);
  values.sort((a, b) => a - b);
  return [values[0], values[values.length >> 1], values.at(-1)].map((value) =>
    value === undefined ? '–' : three(value),
  );
}
