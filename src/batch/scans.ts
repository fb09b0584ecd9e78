import { closeSync, type Dirent, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { FormatError, IoError, UsageError } from '../errors.js';
import { isSamePlace, placeOf, readJson, VOLUME_ENDING } from '../files.js';

/** One scan of a batch: where it is, and where its labels go. */
export interface BatchJob {
  /** What to call it by: its path below the folder it was found in, without its ending. */
  name: string;
  /** Its files: one a channel of the model. */
  inputs: string[];
  /** The label map. */
  output: string;
  /** What to look for in it, where that differs from the other scans. */
  prompts?: string[] | undefined;
}

/** Endings of label maps. */
export const FORMATS = ['nii.gz', 'nii', 'nrrd', 'seg.nrrd', 'mha', 'seg.dcm'] as const;

/** How a label map ends. */
export type BatchFormat = (typeof FORMATS)[number];

/** nnU-Net's channel at the end of a name. */
const CHANNEL = /_(\d{4})$/;
/** Folders in which results and sources lie beside a BIDS data set's own scans. */
const NOT_BIDS_SCANS = ['derivatives', 'sourcedata', 'code', 'stimuli'];
/** Folders of an nnU-Net data set with scans. */
const NNUNET_SCANS = ['imagesTr', 'imagesTs'];

/**
 * The scans that a user names, sorted by name: files, folders with all that lies below them, BIDS and nnU-Net data sets
 * (their scans alone), and lists of jobs (`.json`).
 *
 * @param out folder of the label maps; what lies in it is no scan
 * @throws IoError, FormatError, UsageError where there is none, or two would have one output
 */
export async function findJobs(given: string[], out: string, format: BatchFormat = 'nii.gz'): Promise<BatchJob[]> {
  const target = { out, format };
  const jobs: BatchJob[] = [];
  for (const path of given) {
    if (!existsSync(path)) throw new IoError('ERR_IO', `"${path}" does not exist.`);
    if (statSync(path).isDirectory()) jobs.push(...jobsOf(scansBelow(path, out), path, target));
    else if (extname(path).toLowerCase() === '.json') jobs.push(...(await listed(path, target)));
    else jobs.push(...jobsOf([path], dirname(path), target));
  }
  if (jobs.length === 0) {
    throw new UsageError(`There is no scan in ${given.map((path) => `"${path}"`).join(', ')}.`, {
      hint: 'Scans end in .nii, .nii.gz, .hdr, .nrrd, .nhdr, .mha or .mhd, or are folders of DICOM files.',
    });
  }
  refuseClashes(jobs);
  return jobs.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Files of scans, and folders of DICOM, below a folder; hidden ones and links to folders are left out. */
function scansBelow(folder: string, out: string): string[] {
  const isBids = existsSync(join(folder, 'dataset_description.json'));
  const roots = NNUNET_SCANS.map((name) => join(folder, name)).filter((path) => existsSync(path));
  const found: string[] = [];
  const walk = (directory: string, isTop: boolean) => {
    const entries = readdirSync(directory, { withFileTypes: true });
    if (holdsDicom(directory, entries)) found.push(directory);
    for (const entry of entries) {
      const path = join(directory, entry.name);
      if (entry.name.startsWith('.') || isSamePlace(path, out)) continue;
      if (entry.isDirectory() && !(isTop && isBids && NOT_BIDS_SCANS.includes(entry.name))) walk(path, false);
      else if (!entry.isDirectory() && VOLUME_ENDING.test(entry.name)) found.push(path);
    }
  };
  for (const root of roots.length > 0 ? roots : [folder]) walk(root, true);
  return found;
}

/** How many files are looked at before a folder is taken for one without DICOM. */
const MOST_LOOKED_AT = 4;

/** Whether files of DICOM lie in a folder itself, by its sign, "DICM" at byte 128. */
function holdsDicom(directory: string, entries: Dirent[]): boolean {
  const others = entries.filter(
    (entry) => entry.isFile() && !entry.name.startsWith('.') && !VOLUME_ENDING.test(entry.name),
  );
  return others.slice(0, MOST_LOOKED_AT).some(({ name }) => isDicom(join(directory, name)));
}

function isDicom(path: string): boolean {
  try {
    const head = Buffer.alloc(132);
    const file = openSync(path, 'r');
    try {
      return readSync(file, head, 0, head.length, 0) === head.length && head.toString('latin1', 128) === 'DICM';
    } finally {
      closeSync(file);
    }
  } catch {
    // What cannot be read is no scan.
    return false;
  }
}

/** Where label maps go, and how they end. */
interface Target {
  out: string;
  format: BatchFormat;
}

/** Files that are channels of one scan become one job. */
function jobsOf(files: string[], folder: string, { out, format }: Target): BatchJob[] {
  const scans = new Map<string, string[]>();
  for (const file of files.sort()) {
    const path = relative(folder, file) || basename(folder);
    const name = path.replace(VOLUME_ENDING, '').replace(CHANNEL, '').split(sep).join('/');
    scans.set(name, [...(scans.get(name) ?? []), file]);
  }
  return [...scans].map(([name, inputs]) => ({ name, inputs, output: join(out, `${name}.${format}`) }));
}

const job = z.strictObject({
  input: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
  output: z.string().min(1).optional(),
  prompts: z.array(z.string()).min(1).optional(),
});

/** Jobs of a list: `[{ "input": "a.nii.gz", "output": "a_seg.nii.gz", "prompts": ["artery"] }]`, relative to its folder. */
async function listed(path: string, { out, format }: Target): Promise<BatchJob[]> {
  const list = z.array(job).safeParse(await readJson(path));
  if (!list.success) {
    const { path: where, message } = list.error.issues[0] ?? { path: [], message: 'it is not' };
    throw new FormatError('ERR_FORMAT', `"${path}" is no list of jobs: ${where.join('.') || 'the list'}: ${message}.`, {
      hint: 'Write [{ "input": "chest.nii.gz", "output": "labels.nii.gz", "prompts": ["artery"] }]; output and prompts may be left out.',
    });
  }
  const from = (file: string) => (isAbsolute(file) ? file : join(dirname(path), file));
  return list.data.map(({ input, output, prompts }) => {
    const inputs = (typeof input === 'string' ? [input] : input).map(from);
    const name = basename(inputs[0] ?? '')
      .replace(VOLUME_ENDING, '')
      .replace(CHANNEL, '');
    return {
      name,
      inputs,
      output: output === undefined ? join(out, `${name}.${format}`) : resolve(out, output),
      prompts,
    };
  });
}

function refuseClashes(jobs: BatchJob[]): void {
  const seen = new Map<string, BatchJob>();
  const scans = new Set(jobs.flatMap(({ inputs }) => inputs.map(placeOf)));
  for (const job of jobs) {
    const place = placeOf(job.output);
    const other = seen.get(place);
    const [scan = ''] = job.inputs;
    if (other) {
      throw new UsageError(`The labels of "${scan}" and "${other.inputs[0]}" would both be "${job.output}".`, {
        hint: 'Rename one, or give outputs in a list of jobs (.json).',
      });
    }
    if (scans.has(place)) throw new UsageError(`Writing "${job.output}" would replace a scan. Choose another folder.`);
    seen.set(place, job);
  }
}
