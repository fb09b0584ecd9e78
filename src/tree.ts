import { checkInteger, checkPath, checkVolume, defaultThreads } from './check.js';
import { UsageError } from './errors.js';
import type { TreeRequest, VesselTrees } from './native/binding.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, INDEX, type Kinds, SWITCH, THREADS, VALUES } from './options.js';
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

const OPTIONS: Kinds<TreeOptions> = {
  ...CALL_OPTIONS,
  values: VALUES,
  exports: SWITCH,
  index: INDEX,
  threads: THREADS,
};

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
