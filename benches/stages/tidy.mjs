// Input: phantoms of seeds never trained on. Expected: swapped voxels in the lungs at least a third fewer than the network
// alone leaves, Dice no lower by 0.002 in any phase, loose pieces at least halved. Predictions are kept between runs.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, Segmenter, tidy, writeVolume } from '../../dist/index.js';
import { addonHash, modelFacts } from '../machine.mjs';
import { testPhantoms } from '../phantoms.mjs';
import { mean, three, within } from '../table.mjs';

export const about = 'swaps, Dice and loose pieces before and after tidying (--count N, --model M)';

const PHANTOMS = 12;

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const phantoms = await testPhantoms(context, context.count ?? PHANTOMS);
  const folder = join(context.work, `${model.sha256.slice(0, 12)}-${addonHash().slice(0, 12)}`);
  mkdirSync(folder, { recursive: true });
  await segmentAll(phantoms, folder, path, context);
  const cases = [];
  for (const phantom of phantoms) cases.push(await compared(phantom, folder, context));
  const of = (when, key) => three(mean(cases.map((one) => one[when][key])));
  const rows = ['before', 'after'].map((when) => [
    when,
    of(when, 'swapRate'),
    of(when, 'artery'),
    of(when, 'vein'),
    of(when, 'loose'),
  ]);
  const table = { title: 'Inside the lungs', columns: ['', 'swapped', 'artery', 'vein', 'loose pieces'], rows };
  return { model, cases, tables: [table], checks: checks(cases, of) };
}

async function segmentAll(phantoms, folder, model, { threads, say }) {
  const missing = phantoms.filter(({ name }) => !existsSync(join(folder, `${name}.nii.gz`)));
  if (missing.length === 0) return;
  const segmenter = await Segmenter.load({ model, threads });
  for (const { name, image } of missing) {
    const { labels } = await segmenter.segment(image);
    await writeVolume(join(folder, `${name}.nii.gz`), labels, { like: image });
    say(`${name}: segmented`);
  }
  segmenter.dispose();
}

async function compared({ name, image, label, lungs, phase }, folder, { threads, say }) {
  const pred = join(folder, `${name}.nii.gz`);
  const tidied = join(folder, `${name}-tidied.nii.gz`);
  const { labels, ...report } = await tidy(pred, { image, threads });
  await writeVolume(tidied, labels, { like: pred });
  const scores = async (file, loose) => {
    const { artery, vein, vessels } = await evaluate(file, label, { within: lungs });
    return { swapRate: vessels.swapRate, artery: artery.dice, vein: vein.dice, loose };
  };
  const before = await scores(pred, report.looseBefore.pieces);
  const after = await scores(tidied, report.looseAfter.pieces);
  say(`${name} (${phase}): swapped ${three(before.swapRate)} → ${three(after.swapRate)}`);
  const { changes, bridges, dropped, seconds } = report;
  return { name, phase, before, after, changes: changes.length, bridges: bridges.length, dropped, seconds };
}

function checks(cases, of) {
  const phases = [...new Set(cases.map(({ phase }) => phase))];
  const lost = phases.flatMap((phase) =>
    ['artery', 'vein'].map((key) => {
      const own = cases.filter((one) => one.phase === phase);
      return mean(own.map(({ before }) => before[key])) - mean(own.map(({ after }) => after[key]));
    }),
  );
  return [
    within('swapped voxels, after over before', three(of('after', 'swapRate') / of('before', 'swapRate')), {
      most: 0.667,
    }),
    within('Dice lost in the worst phase', three(Math.max(...lost)), { most: 0.002 }),
    within('loose pieces, after over before', three(of('after', 'loose') / of('before', 'loose')), { most: 0.5 }),
  ];
}
