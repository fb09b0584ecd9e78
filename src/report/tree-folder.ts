import { join } from 'node:path';
import { checkPath } from '../check.js';
import { inFolder, refuseSamePlace, writeAtomic } from '../files.js';
import { addon } from '../native/load.js';
import { CALL_OPTIONS, checkOptions, INDEX, type Kinds, PATH, THREADS, VALUES } from '../options.js';
import { call } from '../progress.js';
import { type MeasuredTree, type TreeOptions, tree, type VesselTrees } from '../tree.js';
import type { CallOptions, Warning } from '../types.js';
import { drawTrees } from './tree-picture.js';

/** One label map whose trees are written to a folder. */
export interface TreeJob {
  /** The mask or label map. */
  input: string;
  /** The folder, made where it is missing; other files in it are left alone. */
  out: string;
  /** Values to measure. */
  values?: TreeOptions['values'];
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Threads to compute with. @default all */
  threads?: number | undefined;
}

/** What became of a {@link TreeJob}; `tree.json` holds the trees whole. */
export interface TreeReport {
  /** The files that were written: report, picture, and three a class. */
  files: { report: string; picture: string; trees: string[] };
  trees: TreeSummary[];
  seconds: VesselTrees['seconds'] & { write: number };
  memory: VesselTrees['memory'];
  warnings: Warning[];
}

/** One class in short. */
export interface TreeSummary {
  name: string;
  value: number;
  volumeMl: number;
  lengthMm: number;
  branches: number;
  /** Pieces that count as trees, and those that do not. */
  trees: number;
  loose: number;
  loops: number;
  pruned: number;
  orders: MeasuredTree['orders'];
}

const FORMATS = ['swc', 'graphml', 'vtk'] as const;

const JOB: Kinds<TreeJob> = { input: PATH, out: PATH, values: VALUES, index: INDEX, threads: THREADS };

/**
 * Writes the trees of a label map to a folder: `tree.json` with everything that was measured, `tree.png`, and
 * `NAME.swc`, `NAME.graphml`, `NAME.vtk` a class. Nothing is written before all is measured; each file appears whole or
 * not at all, the report last.
 *
 * @throws every error of {@link tree}, and IoError
 */
export async function treeToFolder(job: TreeJob, options: CallOptions = {}): Promise<TreeReport> {
  checkOptions(job, JOB);
  checkOptions(options, CALL_OPTIONS);
  const started = performance.now();
  const { input, out, values, index, threads } = job;
  checkPath('The folder', out);
  await call(options, (monitor) => addon().inspect(input, null, monitor));
  return inFolder(out, async () => {
    const found = await tree(input, { values, index, threads, exports: true, ...options });
    const writing = performance.now();
    const texts = found.trees.flatMap((one) =>
      FORMATS.map((format) => ({ path: join(out, `${fileName(one.name)}.${format}`), text: one[format] ?? '' })),
    );
    const files = {
      report: join(out, 'tree.json'),
      picture: join(out, 'tree.png'),
      trees: texts.map(({ path }) => path),
    };
    for (const path of [files.report, files.picture, ...files.trees]) refuseSamePlace(path, [input]);
    options.signal?.throwIfAborted();
    for (const { path, text } of texts) await writeAtomic(path, text);
    await writeAtomic(files.picture, drawTrees(found.trees));
    const now = performance.now();
    const { memory, warnings } = found;
    const seconds = { ...found.seconds, write: (now - writing) / 1000, total: (now - started) / 1000 };
    const trees = found.trees.map(({ swc, graphml, vtk, ...measured }) => measured);
    const whole = { schemaVersion: 1, files, seconds, memory, warnings, trees: trees.map(rounded) };
    await writeAtomic(files.report, `${JSON.stringify(whole)}\n`);
    return { files, trees: found.trees.map(summary), seconds, memory, warnings };
  });
}

function summary({ name, value, volumeMl, lengthMm, branches, pieces, loops, pruned, orders }: MeasuredTree) {
  const trees = pieces.filter(({ isTree }) => isTree).length;
  const loose = pieces.length - trees;
  return {
    name,
    value,
    volumeMl,
    lengthMm,
    branches: branches.length,
    trees,
    loose,
    loops: loops.length,
    pruned,
    orders,
  };
}

/** Points to a micrometre: the rest is noise, and half of the file. */
function rounded<T extends Pick<MeasuredTree, 'branches'>>(measured: T): T {
  const branches = measured.branches.map((branch) => ({
    ...branch,
    points: branch.points.map((point) => point.map((value) => Math.round(1000 * value) / 1000)),
  }));
  return { ...measured, branches };
}

/** A class's name as a file's: what no file system minds. */
function fileName(name: string): string {
  return name.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+/, '') || 'vessels';
}
