import {
  CALL_OPTIONS,
  checkInteger,
  checkOptions,
  checkPath,
  checkVolume,
  defaultThreads,
  MAX_THREADS,
  type Names,
} from './check.js';
import { UsageError } from './errors.js';
import type { TreeRequest, VesselTrees } from './native/binding.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions, Volume } from './types.js';

export type {
  MeasuredTree,
  TreeBranch,
  TreeLoop,
  TreeOrder,
  TreePiece,
  TreePoint,
  TreeSeconds,
  VesselTrees,
} from './native/binding.js';

/** Options of {@link tree}. */
export interface TreeOptions extends CallOptions {
  /**
   * Values to measure, 1 to 255, or names and values: `{ artery: 1, vein: 2 }`.
   *
   * @default those that our plans name (artery 1, vein 2, …), or every one where the map has none of these
   */
  values?: readonly number[] | Readonly<Record<string, number>> | undefined;
  /** Give each tree as SWC, GraphML and VTK too. @default false */
  exports?: boolean | undefined;
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Threads to compute with; results do not depend on it. @default all */
  threads?: number | undefined;
}

const OPTIONS: Names<TreeOptions> = { ...CALL_OPTIONS, values: true, exports: true, index: true, threads: true };

/**
 * Measures a mask or label map of vessels, given by path or as a volume, as trees: branches with length, radius, angle,
 * generation and Strahler order, loose pieces and loops. One result a label value; places are RAS mm.
 *
 * @throws FormatError, GeometryError, IoError, UsageError
 * @example
 * const { trees } = await tree('labels.nii.gz');
 * for (const { name, branches, lengthMm } of trees) console.log(name, branches.length, lengthMm);
 */
export async function tree(mask: string | Volume, options: TreeOptions = {}): Promise<VesselTrees> {
  checkOptions(options, OPTIONS);
  const request = requestOf(options);
  return await call(options, async (monitor) => {
    if (typeof mask === 'string') {
      checkPath('The label map', mask);
      return await addon().treeFile(mask, request, monitor);
    }
    checkVolume('The label map', mask);
    return await addon().treeVolume(mask, request, monitor);
  });
}

function requestOf({ values, exports = false, index, threads = defaultThreads() }: TreeOptions): TreeRequest {
  if (index !== undefined) checkInteger('index', index, 0, 0xffff_ffff);
  checkInteger('threads', threads, 1, MAX_THREADS);
  return { values: values === undefined ? null : valuesOf(values), exports, index: index ?? null, threads };
}

function valuesOf(values: NonNullable<TreeOptions['values']>): NonNullable<TreeRequest['values']> {
  const list = Array.isArray(values)
    ? values.map((value: number) => ({ value, name: null }))
    : Object.entries(values).map(([name, value]) => ({ value: Number(value), name }));
  if (list.length === 0) throw new UsageError('values is empty; name at least one, or leave it out.');
  for (const { value } of list) checkInteger('Each of values', value, 1, 255);
  if (new Set(list.map(({ value }) => value)).size < list.length) throw new UsageError('values names a value twice.');
  return list;
}
