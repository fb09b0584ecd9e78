import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkPath } from './check.js';
import { type Annotated, type DatasetDescription, datasetConfig, scanFacts } from './config/dataset.js';
import { FormatError, UsageError } from './errors.js';
import { makeFolder, readJson, withLock, writeAtomic } from './files.js';
import type { PhantomFiles, PhantomSize, PhantomStyle } from './native/binding.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, integer, type Kinds, oneOf, PATH, SWITCH } from './options.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

/** What phantoms to make. */
export interface PhantomOptions extends CallOptions {
  /** Folder of the data set; it is made, or added to. */
  out: string;
  /** How many. @default 1 */
  count?: number | undefined;
  /** Seed of the first one; each further one takes the next. @default 1 */
  seed?: number | undefined;
  /** Annotate one lung only, left and right in turn. @default false */
  halfLabelled?: boolean | undefined;
  /** `small`: at most 20 million voxels; `full`: 512 × 512 × about 400. @default 'small' */
  size?: PhantomSize | undefined;
  /**
   * `hospital`: what real scans have, each drawn at random; `plain`: trees by the branching law and little round the
   * body, what benchmarks score on. @default 'hospital'
   */
  style?: PhantomStyle | undefined;
}

/** One phantom that was written. */
export interface PhantomCase extends PhantomFiles {
  name: string;
  seed: number;
  /** `arterial`, `venous`, `equal` or `none`. */
  phase: string;
  style: PhantomStyle;
  /** What is in it: build, slices, kernel, table, cover, field of view, device, findings, centrelines by calibre. */
  scan: Record<string, unknown>;
  annotated: Annotated;
}

/** Phantoms label vessels of this diameter and more; thinner ones are rendered only. */
const MIN_LABELLED_DIAMETER_MM = 1.5;
const FOLDERS = ['imagesTr', 'labelsTr', 'lungsTr', 'airwaysTr', 'anatomyTr'];

const OPTIONS: Kinds<PhantomOptions> = {
  ...CALL_OPTIONS,
  out: PATH,
  count: integer(1, 100_000),
  seed: integer(0, 2 ** 48),
  halfLabelled: SWITCH,
  size: oneOf('small', 'full'),
  style: oneOf('hospital', 'plain'),
};

/**
 * Writes synthetic chests with known vessels as a data set in nnU-Net's shape. A phantom depends on its seed, size
 * and style alone; one that is already listed in the folder's `dataset.json` is kept. One process at a time may add to a folder.
 *
 * @throws IoError, UsageError, FormatError
 */
export async function phantom(options: PhantomOptions): Promise<PhantomCase[]> {
  checkOptions(options, OPTIONS);
  const { out, count = 1, seed = 1, halfLabelled = false, size = 'small', style = 'hospital' } = options;
  checkPath('out', out);
  for (const folder of FOLDERS) await makeFolder(join(out, folder));
  return withLock(out, async () => {
    const description = await openDataset(out);
    const cases: PhantomCase[] = [];
    for (let index = 0; index < count; index++) {
      options.onProgress?.({ stage: 'phantoms', done: index, total: count });
      cases.push(await phantomCase(out, { seed: seed + index, size, style, halfLabelled }, description, options));
    }
    options.onProgress?.({ stage: 'phantoms', done: count, total: count });
    return cases;
  });
}

interface Wanted {
  seed: number;
  size: PhantomSize;
  style: PhantomStyle;
  halfLabelled: boolean;
}

async function phantomCase(
  out: string,
  wanted: Wanted,
  known: DatasetDescription,
  options: CallOptions,
): Promise<PhantomCase> {
  const name = `phantom_${wanted.size}_${String(wanted.seed).padStart(5, '0')}`;
  const files = filesOf(out, name);
  const sides: Annotated['sides'] = wanted.halfLabelled
    ? [wanted.seed % 2 === 0 ? 'left' : 'right']
    : ['left', 'right'];
  const annotated: Annotated = { sides, classes: ['artery', 'vein'] };
  const listed = known.cases[name];
  if (listed && listed.annotated.sides.length !== sides.length) {
    throw new UsageError(`"${out}" already lists ${name}, annotated otherwise.`, {
      hint: 'Choose another folder or seed',
    });
  }
  const { seed, size, style } = wanted;
  if (listed && (listed.style ?? 'plain') !== style) {
    throw new UsageError(`"${out}" already lists ${name}, of another style than ${style}.`, {
      hint: 'Choose another folder or seed',
    });
  }
  if (listed && Object.values(files).every((file) => existsSync(file))) {
    const { phase = 'unknown', scan = {}, annotated } = listed;
    return { name, ...files, seed, phase, style, scan, annotated };
  }
  const annotatedLungs = sides.map((side) => (side === 'left' ? 1 : 2));
  const request = { seed, size, style, labelledDiameterMm: MIN_LABELLED_DIAMETER_MM, annotatedLungs, files };
  // Listed first: a half-labelled case that a kill leaves behind must never pass for a fully annotated one.
  await list(out, known, name, { annotated, seed, style });
  try {
    const facts = await call({ signal: options.signal }, (monitor) => addon().phantomCase(request, monitor));
    const scan = scanFacts.parse(JSON.parse(facts.scan));
    await list(out, known, name, { annotated, seed, style, phase: facts.phase, scan });
    return { name, ...files, seed, phase: facts.phase, style, scan, annotated };
  } catch (error) {
    for (const file of Object.values(files)) await rm(file, { force: true });
    await unlist(out, known, name);
    throw error;
  }
}

function filesOf(out: string, name: string): PhantomFiles {
  const map = (folder: string) => join(out, folder, `${name}.nii.gz`);
  return {
    image: join(out, 'imagesTr', `${name}_0000.nii.gz`),
    label: map('labelsTr'),
    lungs: map('lungsTr'),
    airways: map('airwaysTr'),
    anatomy: map('anatomyTr'),
  };
}

async function list(out: string, known: DatasetDescription, name: string, entry: DatasetDescription['cases'][string]) {
  known.cases[name] = entry;
  await saveDataset(out, known);
}

/** Takes an unfinished case off the list; a list that is empty then goes too. */
async function unlist(out: string, known: DatasetDescription, name: string) {
  delete known.cases[name];
  if (Object.keys(known.cases).length > 0) await saveDataset(out, known);
  else await rm(join(out, 'dataset.json'), { force: true });
}

async function saveDataset(out: string, description: DatasetDescription): Promise<void> {
  description.numTraining = Object.keys(description.cases).length;
  await writeAtomic(join(out, 'dataset.json'), `${JSON.stringify(description, null, 2)}\n`);
}

async function openDataset(out: string): Promise<DatasetDescription> {
  const file = join(out, 'dataset.json');
  if (!existsSync(file)) return structuredClone(emptyDataset);
  const parsed = datasetConfig.safeParse(await readJson(file));
  if (parsed.success) return parsed.data;
  throw new FormatError(
    'ERR_FORMAT',
    `"${file}" is not a data set that phantoms can be added to. Choose an empty folder.`,
  );
}

const emptyDataset: DatasetDescription = {
  name: 'pulmoav phantoms',
  channel_names: { '0': 'CT' },
  labels: { background: 0, artery: 1, vein: 2 },
  numTraining: 0,
  file_ending: '.nii.gz',
  minLabelledDiameterMm: MIN_LABELLED_DIAMETER_MM,
  cases: {},
};
