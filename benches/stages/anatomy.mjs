// Input: scans with reference masks of the lungs and phantoms, plain and in about a hundred variants of what scanners,
// patients and disease do to them, and scans without a chest. Expected: the truth that was carried along; nothing where
// there is no chest. Peer: none. --count N phantoms, --kinds A,B some kinds, --scans A,B some scans (id001, p900101),
// --labels vessels too, --whole every variant of large scans,
// --pictures DIR draws, --write DIR keeps what --kinds names as files.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { anatomy, Segmenter, writeVolume } from '../../dist/index.js';
import { modelFacts } from '../machine.mjs';
import { testPhantoms } from '../phantoms.mjs';
import { stretch } from '../resample.mjs';
import { mean, that, three, within } from '../table.mjs';
import { sheet, tile } from '../variants/pictures.mjs';
import { comparedLabels, PROMPTS, scored } from '../variants/scores.mjs';
import { randomOf } from '../variants/study.mjs';
import {
  asLabels,
  belowLungs,
  emptyScans,
  KINDS,
  madeVariant,
  phantomSources,
  realSources,
  VARIANTS,
  variantsOf,
} from '../variants.mjs';

export const about =
  'body, lungs with sides and airways over variants of scans and phantoms (--count N, --kinds A,B, --scans A,B, --labels, --pictures DIR, --write DIR)';

const PHANTOMS = 3;
/** The speed is measured on so many voxels, `[z, y, x]`. */
const LARGE = [400, 512, 512];
const RUNS = 5;
const NO_CHEST = 'no chest';
/** More of a found side than this in the other lung is a wrong side. */
const WRONG_SIDE = 0.02;
/** Vessel labels are scored on these; `compare` says of which variants. */
const LABEL_KEYS = ['artery', 'vein', ...PROMPTS];

export async function run(context) {
  const kinds = context.kinds?.split(',');
  const unknown = kinds?.find((kind) => !KINDS.includes(kind));
  if (unknown) throw new Error(`There is no kind "${unknown}"; expected ${KINDS.join(', ')}.`);
  const count = context.count ?? PHANTOMS;
  const phantoms = count === 0 ? [] : await testPhantoms(context, count);
  const scans = context.scans?.split(',');
  const all = [...realSources(context.data), ...phantomSources(phantoms)];
  const sources = all.filter(({ name }) => !scans || scans.includes(name));
  const studio = { kinds, tiles: new Map(), segmenter: null, ...context };
  const model = context.labels ? await modelFacts(context.model) : null;
  if (model) studio.segmenter = await Segmenter.load({ model: model.path, threads: context.threads });
  const [cases, below] = [[], []];
  for (const source of sources) {
    const study = await source.load();
    cases.push(...(await casesOf(study, studio)));
    const scan = belowLungs(study);
    if (scan) below.push({ name: `below the lungs of ${study.name}`, make: async () => scan });
  }
  studio.segmenter?.dispose();
  const wanted = !kinds || kinds.includes(NO_CHEST);
  const empty = wanted ? await emptyCases([...emptyScans(context.data), ...below], studio) : [];
  if (context.pictures) draw(studio);
  const large = scans ? null : await largeScan(sources[0], studio);
  return {
    model: model?.facts,
    cases,
    empty,
    large,
    tables: [...tables(cases), ...(empty.length > 0 ? [emptyTable(empty)] : []), worst(cases)],
    checks: [
      ...checks(cases, empty),
      ...(large ? [within(`seconds to find it in ${LARGE.join(' × ')} voxels`, large.find, { most: 0.5 })] : []),
    ],
  };
}

/** The best of some runs on a real scan stretched to many voxels, with noise as such a scan has it. */
async function largeScan(source, { threads, say }) {
  const { scan } = await source.load();
  const { data, shape, ...grid } = stretch(scan, LARGE);
  const random = randomOf(1);
  for (let i = 0; i < data.length; i++) data[i] = Math.max(-1024, data[i] + 15 * random.normal());
  let best = null;
  for (let run = 0; run < RUNS; run++) {
    const { seconds } = await anatomy({ data, shape, ...grid }, { threads });
    if (!best || seconds.find < best.find) best = seconds;
  }
  say(`${source.name} as ${LARGE.join(' × ')} voxels: ${three(best.find)} s`);
  return { source: source.name, shape: LARGE, find: three(best.find), draw: three(best.draw) };
}

/** Every variant of a study; the next is made while the finder works on the last. */
async function casesOf(study, studio) {
  const found = [];
  const started = performance.now();
  const plain = studio.segmenter && (await plainLabels(study, studio));
  let pending = null;
  for (const variant of variantsOf(study, { kinds: studio.kinds, everything: studio.whole })) {
    const made = madeVariant(study, variant);
    if (!made) studio.say(`${study.name}: no "${variant.kind}: ${variant.name}"`);
    const next = made && measured(study, variant, made, plain, studio);
    if (pending) found.push(await pending);
    pending = next;
  }
  if (pending) found.push(await pending);
  studio.say(`${study.name}: ${found.length} variants in ${three((performance.now() - started) / 1000)} s`);
  return found;
}

async function plainLabels({ scan }, { segmenter }) {
  return { scan, labels: await promptMap(segmenter, scan) };
}

async function measured(study, { kind, name }, made, plain, studio) {
  const caption = `${study.name} ${kind}: ${name}`;
  if (studio.write) await keep(studio.write, caption, made);
  const { labels, seconds, warnings, carinaMm } = await anatomy(made.scan, { threads: studio.threads });
  const scores = scored(made, labels);
  if (studio.pictures) remember(studio, kind, tile(made, labels, caption));
  const vessels = plain && kind !== 'plain' ? await vesselScores(made, plain, studio) : null;
  return {
    source: study.name,
    kind,
    name,
    shape: made.scan.shape,
    ...Object.fromEntries(Object.entries(scores).map(([key, value]) => [key, rounded(value)])),
    carina: carinaMm !== null,
    seconds: three(seconds.total),
    warnings: warnings.map(({ code }) => code),
    ...(vessels && { vessels }),
  };
}

function rounded(value) {
  return Array.isArray(value) ? value.map((one) => Math.round(one)) : value === null ? null : Number(value.toFixed(4));
}

/** Labels as the numbers of the prompts, from 1: a model has values of its own. */
async function promptMap(segmenter, scan) {
  const { labels, targets } = await segmenter.segment(scan, { prompts: PROMPTS });
  const number = new Uint8Array(256);
  targets.forEach(({ value }, i) => {
    number[value] = i + 1;
  });
  return labels.data.map((label) => number[label]);
}

async function vesselScores(made, plain, { segmenter }) {
  const labels = { ...made.scan, data: await promptMap(segmenter, made.scan) };
  const scores = comparedLabels(made, labels, plain);
  return Object.fromEntries(Object.entries(scores).map(([key, value]) => [key, rounded(value)]));
}

async function keep(folder, caption, { scan, truth }) {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, caption.replace(/[^\w.-]+/g, '_'));
  await writeVolume(`${file}.nii.gz`, scan);
  await writeVolume(`${file}_truth.nii.gz`, asLabels(truth));
}

async function emptyCases(scans, studio) {
  const cases = [];
  for (const { name, make } of scans) {
    const scan = await make();
    const { labels, seconds, warnings } = await anatomy(scan, { threads: studio.threads });
    const lungs = labels.data.reduce((sum, value) => sum + (value === 3 || value === 4 ? 1 : 0), 0);
    const truth = { ...labels, data: new Uint8Array(labels.data.length) };
    if (studio.write) await keep(studio.write, `${NO_CHEST}: ${name}`, { scan, truth });
    if (studio.pictures) remember(studio, NO_CHEST, tile({ scan, truth }, labels, name));
    const codes = warnings.map(({ code }) => code);
    cases.push({ name, lungVoxels: lungs, warnings: codes, seconds: three(seconds.total) });
  }
  return cases;
}

function remember({ tiles }, kind, picture) {
  tiles.set(kind, [...(tiles.get(kind) ?? []), picture]);
}

/** One picture a kind and one of all kinds. */
function draw({ pictures, tiles, say }) {
  mkdirSync(pictures, { recursive: true });
  for (const [kind, list] of tiles) writeFileSync(join(pictures, `${kind.replaceAll(' ', '-')}.png`), sheet(list, 4));
  const firsts = [...tiles.values()].map((list) => list[Math.min(2, list.length - 1)]);
  writeFileSync(join(pictures, 'all-kinds.png'), sheet(firsts, 4));
  say(`pictures in ${pictures}`);
}

/** One table a kind: means and extremes of each variant over the sources. */
function tables(cases) {
  const columns = [
    'variant',
    'scans',
    'left',
    'right',
    'both',
    'least',
    'wrong side',
    'body',
    'airways',
    'leak',
    's',
    'vessels',
    'least',
    'outside',
  ];
  return KINDS.map((kind) => ({ kind, own: cases.filter((one) => one.kind === kind) }))
    .filter(({ own }) => own.length > 0)
    .map(({ kind, own }) => {
      const names = VARIANTS.filter((one) => one.kind === kind).map(({ name }) => name);
      const rows = names
        .map((name) => [name, own.filter((one) => one.name === name)])
        .filter(([, list]) => list.length > 0);
      return { title: kind, columns, rows: rows.map(([name, list]) => [name, list.length, ...rowOf(list)]) };
    });
}

function rowOf(list) {
  const of = (key) => list.map((one) => one[key]).filter((value) => value !== null);
  const most = (values) => (values.length === 0 ? null : Math.max(...values));
  const least = (values) => (values.length === 0 ? null : Math.min(...values));
  const dice = list.flatMap(vesselDice);
  const outside = list.flatMap(({ vessels }) => (vessels ? [vessels.outside] : []));
  return [
    ...['left', 'right', 'both'].map((key) => three(mean(of(key)))),
    three(least(list.flatMap(lungDice))),
    three(most(of('wrongSide'))),
    ...['body', 'airways'].map((key) => three(mean(of(key)))),
    three(most(of('leak'))),
    three(mean(of('seconds'))),
    three(mean(dice)),
    three(least(dice)),
    most(outside),
  ];
}

/** The Dice values of a case: one a side, so that a side that is missed is seen. */
function lungDice({ left, right }) {
  return [left, right].filter((value) => value !== null);
}

function vesselDice({ vessels }) {
  return LABEL_KEYS.map((key) => vessels?.[key]).filter((value) => typeof value === 'number');
}

function emptyTable(empty) {
  const rows = empty.map(({ name, lungVoxels, seconds, warnings }) => [name, lungVoxels, seconds, warnings.join(' ')]);
  return { title: NO_CHEST, columns: ['scan', 'lung voxels', 's', 'warnings'], rows };
}

function worst(cases) {
  const columns = ['case', 'left', 'right', 'both', 'wrong side', 'airways', 'leak', 'warnings'];
  const rows = cases
    .filter((one) => lungDice(one).length > 0)
    .sort((a, b) => Math.min(...lungDice(a)) - Math.min(...lungDice(b)))
    .slice(0, 10)
    .map((one) => [
      `${one.source} ${one.kind}: ${one.name}`,
      ...[one.left, one.right, one.both, one.wrongSide, one.airways, one.leak].map(three),
      one.warnings.join(' '),
    ]);
  return { title: 'The worst ten', columns, rows };
}

function checks(cases, empty) {
  const dice = (list) => list.flatMap(lungDice);
  const plain = cases.filter(({ kind }) => kind === 'plain');
  const others = cases.filter(({ kind }) => kind !== 'plain');
  const least = (values) => (values.length === 0 ? null : values.reduce((a, b) => Math.min(a, b)));
  const known = cases.filter(({ airways }) => airways !== null);
  const knownPlain = known.filter(({ kind }) => kind === 'plain');
  const airwaysOf = (list) => mean(list.map(({ airways }) => airways));
  const vessels = cases.filter((one) => one.vessels);
  const labels = [
    within('vessel Dice with the plain scan, mean', mean(vessels.flatMap(vesselDice)), { least: 0.97 }),
    within('vessel Dice with the plain scan, worst', least(vessels.flatMap(vesselDice)), { least: 0.9 }),
    within(
      'vessel voxels outside the body',
      vessels.reduce((sum, one) => sum + one.vessels.outside, 0),
      { most: 0 },
    ),
  ];
  const groups = [
    [plain, [within('lung Dice of plain scans, worst', least(dice(plain)), { least: 0.97 })]],
    [
      others,
      [
        within('lung Dice of variants, mean', mean(dice(others)), { least: 0.96 }),
        within('lung Dice of variants, worst', least(dice(others)), { least: 0.9 }),
      ],
    ],
    [cases, [within('cases with a wrong side', cases.filter((one) => one.wrongSide > WRONG_SIDE).length, { most: 0 })]],
    [
      knownPlain,
      [within('centrelines of airways of plain phantoms found, mean', airwaysOf(knownPlain), { least: 0.9 })],
    ],
    [
      known,
      [
        within('centrelines of airways found, mean', airwaysOf(known), { least: 0.9 }),
        within('airway outside airways, mean', mean(known.map(({ leak }) => leak)), { most: 0.01 }),
      ],
    ],
    [vessels, labels],
    [empty, [that('no lungs without a chest, and a warning', empty.every(silent))]],
  ];
  return groups.flatMap(([list, own]) => (list.length > 0 ? own : []));
}

function silent({ lungVoxels, warnings }) {
  return lungVoxels === 0 && warnings.includes('NO_LUNGS');
}
