export {
  type Anatomy,
  type AnatomyOptions,
  type AnatomySeconds,
  anatomy,
  type LabelMap,
  type PeakMemory,
} from './anatomy.js';
export { type BatchCase, type BatchOptions, type BatchReport, type BatchRequest, batch } from './batch.js';
export {
  type Checked,
  type CheckFigure,
  type CheckOptions,
  type CheckPlace,
  type CheckSeconds,
  checkLabels,
} from './check-labels.js';
export type { TrainConfig, TrainSettings } from './config/train.js';
export type { DatasetFinding } from './dataset.js';
export * from './errors.js';
export { type Comparison, compare, type ScoreComparison } from './evaluate/compare.js';
export type { CaseResult, Evaluation, FailedCase, ScoredCase, UnpairedFile } from './evaluate/result.js';
export type { BootstrapOptions } from './evaluate/statistics.js';
export {
  type EvaluateFoldersOptions,
  type EvaluateOptions,
  evaluate,
  evaluateCase,
  evaluateFolders,
} from './evaluate.js';
export { type ExportOptions, type ExportReport, exportCheckpoint } from './export.js';
export {
  type CheckpointVariant,
  type ImportOptions,
  type ImportReport,
  importCheckpoint,
  type PromptTarget,
} from './import.js';
export { doctor, type FileInfo, type Health, type InfoOptions, info, listSeries, type SeriesInfo } from './inspect.js';
export { type LabelName, labelNames, type Rgb } from './labels.js';
export {
  type ClassesInfo,
  findModel,
  type ListedModel,
  listModels,
  type ModelInfo,
  type ModelKind,
  type PulledModel,
  type PullOptions,
  pullModel,
  removeModel,
  type TextModelInfo,
  type VerifiedFile,
  verifyModel,
} from './models.js';
export {
  type ClassInfo,
  type ClassModelInfo,
  importNnunet,
  inspectNnunet,
  type NnunetImport,
  type NnunetImportOptions,
  type NnunetSource,
} from './nnunet.js';
export { type PhantomCase, type PhantomOptions, phantom } from './phantom.js';
export { type Fingerprint, type PlanOptions, type PlanReason, plan, type TrainingPlan } from './plan.js';
export { type AnatomyJob, type AnatomyReport, anatomyToFolder } from './report/anatomy-folder.js';
export {
  type EvaluationFiles,
  type EvaluationJob,
  type EvaluationReport,
  evaluationToFolder,
} from './report/evaluation-folder.js';
export { type TreeJob, type TreeReport, type TreeSummary, treeToFolder } from './report/tree-folder.js';
export {
  type ByTarget,
  type CaseEvaluation,
  listScores,
  type ScoreDescription,
  type ScoreGroup,
  type Scores,
  type ScoringRule,
  type TargetScores,
} from './scores.js';
export {
  type FileBytes,
  type Forecast,
  type LoadOptions,
  PRESETS,
  type Preset,
  QUALITIES,
  type Quality,
  type Segmentation,
  type SegmentedTarget,
  Segmenter,
  type SegmentMemory,
  type SegmentOptions,
  type SegmentSeconds,
  type TidyCounts,
} from './segment.js';
export {
  foretellJob,
  type SegmentForecast,
  type SegmentJob,
  type SegmentReport,
  segmentToFile,
} from './segment-file.js';
export type { BootstrapSettings, Interval } from './statistics/bootstrap.js';
export type { Wilcoxon } from './statistics/wilcoxon.js';
export { type SurfaceOptions, type SurfacePart, writeSurface } from './surface.js';
export { type EncodedText, encodeText, type TextOptions, type Understood, understand } from './text.js';
export {
  type Tidied,
  type TidyBridge,
  type TidyChange,
  type TidyOptions,
  type TidyPieces,
  type TidySeconds,
  tidy,
} from './tidy.js';
export type { EndReason, TrainEvent } from './train/events.js';
export { train } from './train/folds.js';
export type { TrainOptions, TrainResult } from './train/loop.js';
export {
  type MeasuredTree,
  type TreeBranch,
  type TreeLoop,
  type TreeOptions,
  type TreeOrder,
  type TreePiece,
  type TreePoint,
  type TreeSeconds,
  tree,
  type VesselTrees,
} from './tree.js';
export type {
  Axes,
  CallOptions,
  MeasuredStructure,
  Progress,
  SeriesName,
  Volume,
  VoxelArray,
  Warning,
} from './types.js';
export { type Verification, verify } from './verify.js';
export { type ReadOptions, readVolume, type WriteOptions, writeVolume } from './volume.js';
