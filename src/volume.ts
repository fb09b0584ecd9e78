import { checkInteger, checkPath, checkVolume } from './check.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions, Volume, VoxelArray, Warning } from './types.js';

/** Options of {@link readVolume}. */
export interface ReadOptions extends CallOptions {
  /** Which volume of a file with four or more axes, counted from 0 in file order; such a file needs it. */
  index?: number | undefined;
}

/** Options of {@link writeVolume}. */
export interface WriteOptions extends CallOptions {
  /** A NIfTI file whose header is kept byte for byte, but for what must change. */
  like?: string | undefined;
}

/** A volume's geometry as it crosses into the addon. */
export type Geometry = Pick<Volume, 'shape' | 'spacingMm' | 'affine' | 'oriented'>;

/**
 * Reads a NIfTI-1 or -2 (`.nii`, `.nii.gz`, `.hdr` + `.img`), NRRD or MetaImage file.
 *
 * @throws FormatError, GeometryError, IoError, MemoryError
 * @example
 * const ct = await readVolume('chest.nii.gz');
 * console.log(ct.shape, ct.spacingMm);
 */
export async function readVolume(path: string, options: ReadOptions = {}): Promise<Volume> {
  checkPath('The path', path);
  if (options.index !== undefined) checkInteger('index', options.index, 0, 0xffff_ffff);
  const { value, arrays } = await call<Geometry & { warnings: Warning[] }>(options, (monitor) =>
    addon().readVolume(path, options.index ?? null, monitor),
  );
  return volumeOf(arrays[0] as VoxelArray, value);
}

/**
 * Writes a volume as NIfTI (`.nii` or `.nii.gz`) with its own data type; an existing file is replaced in one step. The
 * array is copied before the call returns, so it may change or be transferred at once.
 *
 * @throws UsageError, GeometryError, IoError
 */
export async function writeVolume(path: string, volume: Volume, options: WriteOptions = {}): Promise<void> {
  checkPath('The path', path);
  checkVolume('The volume', volume);
  if (options.like !== undefined) checkPath('like', options.like);
  await call(options, (monitor) =>
    addon().writeVolume(path, geometryJson(volume), volume.data, options.like ?? null, monitor),
  );
}

/** A volume of `data` at a place that the addon gave. */
export function volumeOf<Data extends VoxelArray>(data: Data, geometry: Geometry): Volume<Data> {
  const { shape, spacingMm, affine, oriented } = geometry;
  return { data, shape, spacingMm, affine, ...(oriented === false && { oriented }) };
}

/** The geometry of `volume` as the JSON the addon takes. */
export function geometryJson({ shape, spacingMm, affine, oriented = true }: Geometry): string {
  return JSON.stringify({ shape, spacingMm, affine, oriented });
}
