/** Three numbers along `[z, y, x]`. */
export type Axes = [number, number, number];

/** Voxel arrays by file data type; 64-bit integers are big integers. */
export type VoxelArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** Voxels and where they are in the body: a plain object. */
export interface Volume<Data extends VoxelArray = VoxelArray> {
  /** Voxels, z slowest, x fastest. */
  data: Data;
  /** Voxels along `[z, y, x]` (a file's axes k, j, i). */
  shape: Axes;
  /** Voxel size in mm, `[z, y, x]`. */
  spacingMm: Axes;
  /** 16 numbers, row-major: voxel `(x, y, z)` to RAS mm, as nibabel gives them. */
  affine: number[];
  /** `false` where the file says nothing of the patient's orientation: prompts with a side are refused. @default true */
  oriented?: boolean;
}

/** Something a user should know that did not stop the work. */
export interface Warning {
  /**
   * A stable code. Of the file: `NOT_HU`, `NO_ORIENTATION`, `FORMS_DIFFER`, `UNITS`, `COARSE_SPACING`. Of the anatomy:
   * `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`, `SIDES_UNCLEAR`. Of what was asked: `PROMPT_TRUNCATED`,
   * `SMALLER_TILES`. Of a label map: `EMPTY_RESULT`.
   */
  code: string;
  /** One sentence: what it is and, where something can be done, what to check. */
  message: string;
}

/** How much of a structure there is in a label map. */
export interface MeasuredStructure {
  /** Value in the label map. */
  value: number;
  /** `left lung`, `airways`, … */
  name: string;
  /** Voxels with this value. */
  voxels: number;
  /** Their volume in ml. */
  volumeMl: number;
}

/** How far a call has come. */
export interface Progress {
  /** What is being done: `read`, `anatomy`, `network`, … */
  stage: string;
  /** Steps done. */
  done: number;
  /** Steps in all. */
  total: number;
}

/** Options of every long call. */
export interface CallOptions {
  /** Cancels the call, which then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /** Called about ten times a second while there is something new. */
  onProgress?: ((progress: Progress) => void) | undefined;
}
