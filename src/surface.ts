import { existsSync } from 'node:fs';
import { z } from 'zod';
import { checkPath } from './check.js';
import { readJson } from './files.js';
import { type LabelName, labelNames, segmentsOf } from './labels.js';
import type { SurfacePart } from './native/binding.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, type Kinds, LABEL, listOf, RECORD } from './options.js';
import { call } from './progress.js';
import { recordPath } from './record.js';
import type { CallOptions } from './types.js';

export type { SurfacePart };

/** Options of {@link writeSurface}. */
export interface SurfaceOptions extends CallOptions {
  /** Which values of the map, with what they are. @default all, named by the map's record where one lies beside it */
  labels?: LabelName[] | undefined;
  /** Of those only these. */
  values?: number[] | undefined;
}

const MOST = 255;
const named = z.array(z.object({ value: z.number(), name: z.string() }));
const record = z.object({ targets: named, structures: named });

const OPTIONS: Kinds<SurfaceOptions> = {
  ...CALL_OPTIONS,
  labels: listOf('named values', RECORD),
  values: listOf('values', LABEL),
};

/**
 * Writes the surfaces of a label map's values as binary STL, PLY or glTF (`.stl`, `.ply`, `.glb`): smoothed, enclosing
 * what the voxels fill, in RAS mm (glTF: in metres with y up, as that format wants it).
 *
 * @throws FormatError, IoError, UsageError
 */
export async function writeSurface(map: string, output: string, options: SurfaceOptions = {}): Promise<SurfacePart[]> {
  checkOptions(options, OPTIONS);
  checkPath('The label map', map);
  checkPath('The output', output);
  const { values } = options;
  const names = options.labels ?? (await namesOf(map));
  const wanted = values ? names.filter(({ value }) => values.includes(value)) : names;
  return await call(options, (monitor) => addon().writeSurface(map, output, segmentsOf(wanted), monitor));
}

/** Names by the record beside the map; `label N` for all others. */
async function namesOf(map: string): Promise<LabelName[]> {
  const path = recordPath(map);
  const written = existsSync(path) ? record.safeParse(await readJson(path)) : undefined;
  const known = written?.success ? [...written.data.targets, ...written.data.structures] : [];
  const all = Array.from({ length: MOST }, (_, index) => {
    return known.find(({ value }) => value === index + 1) ?? { value: index + 1, name: `label ${index + 1}` };
  });
  return labelNames(all);
}
