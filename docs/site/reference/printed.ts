// What the command line prints and writes as JSON, by the package's own types: the schemas in docs/schema/reports are made of it.
// A test holds what commands print against them.
import type {
  AnatomyReport,
  BatchReport,
  Checked,
  Comparison,
  EvaluationFiles,
  ExportReport,
  Fingerprint,
  Evaluation as Folders,
  Health,
  ImportReport,
  ListedModel,
  PlanReason,
  Progress,
  ScoredCase,
  SegmentForecast,
  SegmentReport,
  SurfacePart,
  Tidied,
  TrainEvent,
  TrainResult,
  TreeReport,
  Verification,
  Warning,
} from '../../../index.js';

/** Every object says which version of its meaning it has. */
interface Versioned {
  schemaVersion: 1;
}

/** A failure. */
interface Failure {
  /** `ERR_USAGE`, `ERR_FORMAT`, …, or `INTERRUPTED`. */
  code: string;
  /** One sentence. */
  message: string;
  /** What to do. */
  hint: string | null;
}

/** A file as it was used. */
interface UsedFile {
  path: string;
  bytes: number;
  /** SHA-256 of its content, in hexadecimal digits. */
  sha256: string;
}

/** Any command that fails, with `--json`. */
export interface ErrorOutput extends Versioned {
  error: Failure;
}

/** `pulmoav segment --json`. */
export interface SegmentOutput extends Versioned, SegmentReport {}

/** `pulmoav segment --dry-run --json`. */
export interface ForecastOutput extends Versioned, SegmentForecast {
  dryRun: true;
}

/** `NAME.run.json` beside a label map. */
export interface RunRecord extends Versioned, Omit<SegmentReport, 'output' | 'record'> {
  /** Research use only. */
  purpose: string;
  /** When it was finished, ISO 8601. */
  finished: string;
  /** Node's version. */
  node: string;
  /** Operating system and processor. */
  platform: string;
  /** What decides about the labels: equal sources give equal labels. */
  source: {
    /** The version of this package. */
    version: string;
    /** SHA-256 of all files of the model. */
    model: string;
    /** SHA-256 of each scan. */
    inputs: string[];
    /** The options that were given. */
    options: Record<string, unknown>;
  };
  inputs: UsedFile[];
  /** The label map. */
  output: UsedFile;
  threads: number;
}

/** `pulmoav batch --json`, and `batch.json`. */
export interface BatchOutput extends Versioned, BatchReport {}

/** `pulmoav anatomy --json`, and `anatomy.json`. */
export interface AnatomyOutput extends Versioned, AnatomyReport {}

/** `pulmoav tree --json`. */
export interface TreeOutput extends Versioned, TreeReport {}

/** `pulmoav tidy --json`. */
export interface TidyOutput extends Versioned, Omit<Tidied, 'labels'> {
  /** The label map; `null` of a dry run. */
  output: string | null;
}

/** `pulmoav check --json`. */
export interface CheckOutput extends Versioned, Checked {}

/** `pulmoav verify --json`. */
export interface VerifyOutput extends Versioned, Verification {}

/** `pulmoav plan --json`. */
export interface PlanOutput extends Versioned {
  /** A training config: `train.schema.json` describes it. */
  config: Record<string, unknown>;
  reasons: PlanReason[];
  /** Best Dice that the chosen spacing allows, by class. */
  ceiling: { artery: number | null; vein: number | null };
  /** Memory that a training step is foreseen to take at its peak. */
  predictedBytes: number;
  /** What was measured. */
  fingerprint: Fingerprint;
  /** Memory that training may take. */
  budgetBytes: number;
  /** Whether `splits_final.json` was written, was there, or was not asked for. */
  splits: 'written' | 'kept' | null;
  /** Where the config was written. */
  output: string | null;
}

/** `pulmoav train --json`. */
export interface TrainOutput extends Versioned, TrainResult {}

/** A line of a run's `events.jsonl`. */
export type TrainEventLine = TrainEvent;

interface EvaluationParts extends Omit<Folders, 'cases'> {
  cases: (ScoredCase | { name: string; error: Failure })[];
}

/** `pulmoav evaluate --json`, and what `-o` writes. */
export interface EvaluateOutput extends Versioned, EvaluationParts {
  /** The other model's, with `--against`. */
  against?: EvaluationParts;
  /** With `--against`. */
  comparison?: Comparison;
  /** With `--report`. */
  files?: EvaluationFiles;
  /** With `--report`. */
  warnings?: Warning[];
}

/** `pulmoav compare --json`. */
export interface CompareOutput extends Versioned, Comparison {}

/** A phantom of a data set. */
interface Phantom {
  name: string;
  seed: number;
  /** `arterial`, `venous`, `equal` or `none`. */
  phase: string;
  style: 'hospital' | 'plain';
  /** What is in it: build, slices, kernel, table, cover, field of view, device, findings, centrelines by calibre. */
  scan: Record<string, unknown>;
  /** What its label map shows: the rest is 0. */
  annotated: { sides: ('left' | 'right')[]; classes: ('artery' | 'vein')[]; central?: boolean };
  /** Its CT. */
  image: string;
  /** Its vessels. */
  label: string;
  /** Its true lungs: 1 left, 2 right. */
  lungs: string;
  /** Its bronchi and windpipe, wall and all. */
  airways: string;
  /** What is where: 1 body, 3 left lung, 4 right lung, 5 airway lumen, 6 centreline of a lumen of 3 mm and more. */
  anatomy: string;
}

/** `pulmoav phantom --json`. */
export interface PhantomOutput extends Versioned {
  cases: Phantom[];
}

/** `pulmoav surface --json`. */
export interface SurfaceOutput extends Versioned {
  output: string;
  parts: SurfacePart[];
}

/** `pulmoav import --json` of a checkpoint. */
export interface ImportOutput extends Versioned, ImportReport {}

/** `pulmoav export --json`. */
export interface ExportOutput extends Versioned, ExportReport {}

/** `pulmoav models list --json`. */
export interface ModelsOutput extends Versioned {
  models: ListedModel[];
}

/** `pulmoav doctor --json`. */
export interface DoctorOutput extends Versioned, Health {}

/** A line of standard error with `--progress json`. */
export type ProgressLine = Versioned & (({ type: 'progress' } & Progress) | { type: 'message'; text: string });
