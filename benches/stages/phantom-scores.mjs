// Input: 16 phantoms of seeds never trained on, at their own grid. Expected: the checks at the end. Peers: the ceiling
// that the plan's grid allows, and two HU thresholds. Resumable: what was segmented by the same model and addon is
// kept.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, readVolume, Segmenter, writeVolume } from '../../dist/index.js';
import { ceiling } from '../ceiling.mjs';
import { addonHash, modelFacts } from '../machine.mjs';
import { testPhantoms } from '../phantoms.mjs';
import { mean, three, within } from '../table.mjs';
import { bestThresholds, histograms } from '../threshold.mjs';

export const about =
  'Dice and swaps on 16 unseen phantoms, beside the ceiling and the HU thresholds (--count N, --model M)';

const PHANTOMS = 16;
const PHASES = ['arterial', 'venous', 'equal', 'none'];
const REGIONS = ['whole', 'lungs'];

export async function run(context) {
  const { path, facts: model } = await modelFacts(context.model);
  const phantoms = await testPhantoms(context, context.count ?? PHANTOMS);
  const folder = join(context.work, `${model.sha256.slice(0, 12)}-${addonHash().slice(0, 12)}`);
  mkdirSync(folder, { recursive: true });
  await segmentAll(phantoms, folder, path, context);
  const cases = [];
  for (const phantom of phantoms) cases.push(await scored(phantom, folder, model.spacingMm, context));
  const groups = grouped(cases);
  const tables = REGIONS.map((region) => table(region, groups));
  const summary = Object.fromEntries(groups.map((group) => [group.name, summarised(group)]));
  return { model, summary, cases: cases.map(({ counts, ...rest }) => rest), tables, checks: checks(summary) };
}

/** Label maps and reports of the phantoms that have none yet. */
async function segmentAll(phantoms, folder, model, { threads, say }) {
  const missing = phantoms.filter(({ name }) => !existsSync(join(folder, `${name}.json`)));
  if (missing.length === 0) return;
  const segmenter = await Segmenter.load({ model, threads });
  for (const { name, image } of missing) {
    const { labels, ...report } = await segmenter.segment(image);
    await writeVolume(join(folder, `${name}.nii.gz`), labels, { like: image });
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(report));
    say(`${name}: segmented in ${report.seconds.total.toFixed(1)} s`);
  }
  segmenter.dispose();
}

/** One case: scores, ceiling and the histograms of its baseline. */
async function scored({ name, image, label, lungs, phase, seed }, folder, spacingMm, { work, say }) {
  const pred = join(folder, `${name}.nii.gz`);
  const scores = { whole: await evaluate(pred, label), lungs: await evaluate(pred, label, { within: lungs }) };
  const peers = await kept(join(work, `${name}-${spacingMm.join('x')}.json`), async () => {
    const [ct, truth, mask] = await Promise.all([image, label, lungs].map((file) => readVolume(file)));
    const [artery, vein] = [1, 2].map((value) => ceiling(truth, mask, value, spacingMm));
    return { ceiling: { artery, vein }, counts: histograms(ct, truth, mask) };
  });
  const { seconds } = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
  const own = Object.fromEntries(REGIONS.map((region) => [region, plain(scores[region])]));
  say(`${name} (${phase}): lungs ${own.lungs.artery}/${own.lungs.vein}, whole ${own.whole.artery}/${own.whole.vein}`);
  return { name, seed, phase, seconds, scores: own, ...peers };
}

function plain({ artery, vein, vessels }) {
  return {
    artery: three(artery.dice),
    vein: three(vein.dice),
    vessels: three(vessels.dice),
    swapRate: three(vessels.swapRate),
    arterySwapRate: three(artery.swapRate),
    veinSwapRate: three(vein.swapRate),
  };
}

/** What a file holds, made by `make` where there is none. */
async function kept(file, make) {
  if (!existsSync(file)) writeFileSync(file, JSON.stringify(await make()));
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The cases of each phase, those with contrast, and all; the baseline's thresholds are chosen a phase. */
function grouped(cases) {
  const phases = PHASES.map((name) => ({ name, cases: cases.filter(({ phase }) => phase === name) }))
    .filter((group) => group.cases.length > 0)
    .map((group) => ({ ...group, thresholds: thresholds(group.cases) }));
  const together = (name, parts) => ({
    name,
    cases: parts.flatMap((part) => part.cases),
    thresholds: pooled(parts),
  });
  const contrast = phases.filter(({ name }) => name !== 'none');
  return [...phases, together('contrast', contrast), together('all', phases)].filter((group) => group.cases.length > 0);
}

function thresholds(cases) {
  const counts = cases.map((one) => one.counts);
  return Object.fromEntries(REGIONS.map((region) => [region, bestThresholds(counts, region)]));
}

/** The phases' baselines, weighted by their cases. */
function pooled(phases) {
  const over = (region, key) => mean(phases.flatMap((phase) => phase.cases.map(() => phase.thresholds[region][key])));
  const scores = (region) => Object.fromEntries(['artery', 'vein', 'swapRate'].map((key) => [key, over(region, key)]));
  return Object.fromEntries(REGIONS.map((region) => [region, scores(region)]));
}

/** Means of one group by region. */
function summarised({ cases, thresholds }) {
  const of = (region) => {
    const score = (key) => three(mean(cases.map(({ scores }) => scores[region][key])));
    const limit = (kind) => (target) => three(mean(cases.map((one) => one.ceiling[target][kind][region])));
    const { artery, vein, swapRate, ...chosen } = thresholds[region];
    return {
      ...Object.fromEntries(['artery', 'vein', 'vessels', 'swapRate'].map((key) => [key, score(key)])),
      ceiling: { soft: ['artery', 'vein'].map(limit('soft')), hard: ['artery', 'vein'].map(limit('hard')) },
      threshold: { artery: three(artery), vein: three(vein), swapRate: three(swapRate), ...chosen },
    };
  };
  return { cases: cases.length, whole: of('whole'), lungs: of('lungs') };
}

function table(region, groups) {
  const columns = [
    'phase',
    'cases',
    'artery',
    'vein',
    'vessels',
    'swapped',
    'ceiling a/v',
    'threshold a/v',
    'its swaps',
  ];
  const rows = groups.map((group) => {
    const { cases, [region]: row } = summarised(group);
    const { threshold, ceiling } = row;
    const pair = (a, b) => `${a} / ${b}`;
    const own = [row.artery, row.vein, row.vessels, row.swapRate];
    return [
      group.name,
      cases,
      ...own,
      pair(...ceiling.soft),
      pair(threshold.artery, threshold.vein),
      threshold.swapRate,
    ];
  });
  return { title: region === 'lungs' ? 'Inside the lungs' : 'Whole volume', columns, rows };
}

function checks({ all, contrast }) {
  return [
    within('artery Dice inside the lungs', all.lungs.artery, { least: 0.8 }),
    within('vein Dice inside the lungs', all.lungs.vein, { least: 0.8 }),
    within('share of vessel voxels swapped inside the lungs', all.lungs.swapRate, { most: 0.1 }),
    within('artery Dice in the whole volume with contrast', contrast?.whole.artery, { least: 0.72 }),
    within('vein Dice in the whole volume with contrast', contrast?.whole.vein, { least: 0.78 }),
  ];
}
