// Input: phantoms of seeds never trained on, hospital and plain ones, and the chest scans of the shared data. Expected: how
// far the network doubts which class a vessel is (`classDoubt`) has a rank correlation of at least 0.6 with the swapped
// share in the lungs. What was segmented by the same model and addon is kept.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { evaluate, Segmenter, writeVolume } from '../../dist/index.js';
import { addonHash, modelFacts } from '../machine.mjs';
import { FIRST_SEED, testPhantoms } from '../phantoms.mjs';
import { spearman } from '../spearman.mjs';
import { three, within } from '../table.mjs';

export const about =
  "how the network's doubt of a vessel's class follows the true swaps (--count N of each style, --model M)";

const PHANTOMS = 8;
const STYLES = { hospital: 910_001, plain: FIRST_SEED };
const SCANS = [
  'imlab_id001_ct.nii.gz',
  'imlab_id003_ct.nii.gz',
  'cip/ct-64.nrrd',
  'elastix/3DCT_lung_baseline_small.mha',
  'ts_aorta_ct_cropped.nii.gz',
];

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const folder = join(context.work, `${model.sha256.slice(0, 12)}-${addonHash().slice(0, 12)}`);
  mkdirSync(folder, { recursive: true });
  const segmenter = await Segmenter.load({ model: path, threads: context.threads });
  const doubted = async (name, image, swapped) => {
    const kept = join(folder, `${name}.json`);
    if (!existsSync(kept)) {
      const { labels, classDoubt, warnings } = await segmenter.segment(image);
      const said = warnings.map(({ code }) => code);
      writeFileSync(kept, JSON.stringify({ name, doubt: three(classDoubt), swapped: await swapped(labels), said }));
    }
    const one = JSON.parse(readFileSync(kept, 'utf8'));
    context.say(`${name}: doubt ${one.doubt}, swapped ${one.swapped}`);
    return one;
  };
  const phantoms = [];
  for (const [style, seed] of Object.entries(STYLES)) {
    for (const { name, image, label, lungs } of await testPhantoms(context, context.count ?? PHANTOMS, seed, style)) {
      const swapped = async (labels) => {
        const found = join(folder, 'found.nii.gz');
        await writeVolume(found, labels, { like: image });
        return three((await evaluate(found, label, { within: lungs })).vessels.swapRate);
      };
      phantoms.push({ style, ...(await doubted(name, image, swapped)) });
    }
  }
  const scans = [];
  for (const file of SCANS.map((name) => join(context.data, 'ct', name)).filter(existsSync)) {
    scans.push(await doubted(basename(file), file, async () => null));
  }
  segmenter.dispose();
  const of = (key) => phantoms.map((one) => one[key]);
  const rows = [...phantoms, ...scans].map(({ style = 'real', name, doubt, swapped }) => [name, style, doubt, swapped]);
  const table = { title: 'Doubt and swaps in the lungs', columns: ['scan', 'style', 'doubt', 'swapped'], rows };
  const follows = three(spearman(of('doubt'), of('swapped')));
  return {
    model,
    phantoms,
    scans,
    tables: [table],
    checks: [within('rank correlation of doubt with swaps', follows, { least: 0.6 })],
  };
}
