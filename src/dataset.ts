import type { Annotated } from './config/dataset.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { Axes, CallOptions } from './types.js';

/** One thing to know of a data set or a case. */
export interface DatasetFinding {
  /** The case's name; `null` where it concerns the whole data set. */
  case: string | null;
  /**
   * A stable code. Of the lists: `NOT_CT`, `NO_CASES`, `LABELS_IGNORED`, `MISSING_IMAGE`, `MISSING_LABEL`,
   * `SECOND_CHANNEL`, `CLASS_WITHOUT_VALUE`, `BAD_SPLITS`. Of the files: `UNREADABLE`, `NO_ORIENTATION`, `UNITS`,
   * `FORMS_DIFFER`, `GEOMETRY`, `NOT_HU`, `DUPLICATE`. Of the labels: `UNKNOWN_LABEL`, `EMPTY_LABEL`, `OTHER_CLASS`,
   * `LABELS_OVERLAP`, `OUTSIDE_BODY`, `OTHER_SIDE`, `EMPTY_SIDE`. Of the anatomy: `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`,
   * `MIRRORED`.
   */
  code: string;
  /** `error`: training would stop, or learn something wrong; `warning`: should be looked at. */
  severity: 'error' | 'warning';
  /** What was found. */
  message: string;
  /** What to do about it. */
  remedy: string;
}

/** A case by its files. */
export interface SurveyedCase {
  name: string;
  /** Whether its files are all there. */
  whole: boolean;
  labelled: boolean;
  /** Whether both lungs, what lies between them and both classes are annotated. */
  full: boolean;
  annotated: Annotated;
}

/** A data set by its lists. */
export interface Survey {
  cases: SurveyedCase[];
  hasSplits: boolean;
  findings: DatasetFinding[];
}

/** Figures of a class in a case. */
export interface ClassFacts {
  voxels: number;
  /** HU below which 0.5, 50 and 99.5 % of the labelled voxels lie. */
  hu: [number, number, number];
  /** How many voxels lie in vessels of a radius below 1.5 mm, up to 3 mm, and above. */
  calibres: [number, number, number];
  /** The best Dice at each voxel edge that was asked for. */
  ceilings: number[];
}

/** Figures of a case. */
export interface CaseFacts {
  shape: Axes;
  spacingMm: Axes;
  /** Equal for equal voxels. */
  content: string;
  classes: { artery?: ClassFacts; vein?: ClassFacts };
}

/** What was found in a case. */
export interface CheckedCase {
  findings: DatasetFinding[];
  /** `null` where it could not be read. */
  facts: CaseFacts | null;
}

/** Lists a data set's cases, and what is wrong with its lists; no voxel is read. */
export async function surveyDataset(dataset: string, options: CallOptions): Promise<Survey> {
  const { value } = await call<Survey>({ signal: options.signal }, (monitor) =>
    addon().surveyDataset(dataset, monitor),
  );
  return value;
}

/** Looks at every voxel of a case whose files are all there. */
export async function checkCase(
  dataset: string,
  name: string,
  asked: { anatomy: boolean; ceilingsMm: number[] },
  signal: AbortSignal | undefined,
): Promise<CheckedCase> {
  const { value } = await call<CheckedCase>({ signal }, (monitor) =>
    addon().checkCase(dataset, name, JSON.stringify(asked), monitor),
  );
  return value;
}
