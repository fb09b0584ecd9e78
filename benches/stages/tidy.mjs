// Input: phantoms of seeds that neither training nor the weights of tidying ever saw. Expected: swapped voxels in the lungs
// at least a third fewer than the network alone leaves, Dice no lower by 0.002 in any phase, loose pieces at least halved,
// and 2 s at most for a whole CT. Label maps are kept between runs.
import { existsSync, mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { evaluate, Segmenter, tidy, writeVolume } from '../../dist/index.js';
import { addonHash, modelFacts } from '../machine.mjs';
import { stretched, testPhantoms } from '../phantoms.mjs';
import { mean, three, within } from '../table.mjs';

export const about =
  'swaps, Dice and loose pieces without and with tidying (--count N, --model M, --whole for a whole CT)';

const PHANTOMS = 12;
const FIRST_SEED = 960_101;
const WHOLE = [400, 512, 512];
/** Without tidying, as a step of segment with the network's certainty, and of the label map alone. */
const WAYS = ['off', 'segment', 'command'];

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const phantoms = await testPhantoms(context, context.count ?? PHANTOMS, FIRST_SEED);
  const folder = join(context.work, `${model.sha256.slice(0, 12)}-${addonHash().slice(0, 12)}`);
  mkdirSync(folder, { recursive: true });
  const segmenter = await Segmenter.load({ model: path, threads: context.threads });
  const cases = [];
  for (const phantom of phantoms) cases.push(await compared(phantom, segmenter, folder, context));
  const whole = context.whole ? await wholeCt(phantoms[0], segmenter, context) : null;
  segmenter.dispose();
  const of = (way, key) => three(mean(cases.map((one) => one[way][key])));
  const rows = WAYS.map((way) => [way, ...['swapRate', 'artery', 'vein', 'loose'].map((key) => of(way, key))]);
  const table = { title: 'Inside the lungs', columns: ['tidying', 'swapped', 'artery', 'vein', 'loose pieces'], rows };
  return { model, cases, whole, tables: [table], checks: checks(cases, of, whole) };
}

async function compared(phantom, segmenter, folder, { threads, say }) {
  const { name, image, label, lungs, phase } = phantom;
  const [off, on, command] = WAYS.map((way) => join(folder, `${name}-${way}.nii.gz`));
  const told = `${on}.json`;
  if (!existsSync(off)) {
    await writeVolume(off, (await segmenter.segment(image, { tidy: false })).labels, { like: image });
  }
  if (!existsSync(told)) {
    const { labels, tidied, seconds } = await segmenter.segment(image, { tidy: true });
    await writeVolume(on, labels, { like: image });
    await writeFile(told, JSON.stringify({ tidied, seconds: seconds.tidy }));
  }
  const { tidied, seconds } = JSON.parse(await readFile(told, 'utf8'));
  const alone = await tidy(off, { image, threads });
  await writeVolume(command, alone.labels, { like: image });
  const scores = async (file, loose) => {
    const { artery, vein, vessels } = await evaluate(file, label, { within: lungs });
    return { swapRate: vessels.swapRate, artery: artery.dice, vein: vein.dice, loose };
  };
  const found = {
    off: await scores(off, tidied.looseBefore.pieces),
    segment: await scores(on, tidied.looseAfter.pieces),
    command: await scores(command, alone.looseAfter.pieces),
  };
  say(`${name} (${phase}): swapped ${WAYS.map((way) => three(found[way].swapRate)).join(' → ')}`);
  return { name, phase, ...found, tidied, seconds };
}

async function wholeCt(phantom, segmenter, context) {
  const file = await stretched(phantom, WHOLE, context);
  const { seconds, tidied, memory } = await segmenter.segment(file, { tidy: true });
  context.say(`${WHOLE.join(' × ')}: tidied in ${three(seconds.tidy)} s`);
  return { shape: WHOLE, seconds, tidied, memory };
}

function checks(cases, of, whole) {
  const phases = [...new Set(cases.map(({ phase }) => phase))];
  const lost = phases.flatMap((phase) =>
    ['artery', 'vein'].map((key) => {
      const own = cases.filter((one) => one.phase === phase);
      return mean(own.map(({ off }) => off[key])) - mean(own.map(({ segment }) => segment[key]));
    }),
  );
  const ratio = (key) => three(of('segment', key) / of('off', key));
  return [
    within('swapped voxels, with over without', ratio('swapRate'), { most: 0.667 }),
    within('Dice lost in the worst phase', three(Math.max(...lost)), { most: 0.002 }),
    within('loose pieces, with over without', ratio('loose'), { most: 0.5 }),
    ...(whole ? [within('seconds for a whole CT', three(whole.seconds.tidy), { most: 2 })] : []),
  ];
}
