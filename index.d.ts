// The public API of pulmoav on one page. Generated from src/ by "npm run build:ts"; never edited.
import { z } from 'zod';

/** The anatomy of one scan. */
interface Anatomy {
  /**
   * Label map on the scan's own grid: 0 outside the body, 1 body, 2 mediastinum, 3 left lung, 4 right lung, 5
   * airways. Left and right are the patient's.
   */
  labels: LabelMap
  /** Every structure in the order of the values, found or not. */
  structures: Array<MeasuredStructure>
  /** Where the windpipe divides, RAS mm `[x, y, z]`; `null` where it was not found. */
  carinaMm: Axes | null
  /** Wall time by stage. */
  seconds: AnatomySeconds
  /** The process's peak memory. */
  memory: PeakMemory
  /** What a user should know. */
  warnings: Array<Warning>
}

/** Wall time of finding an anatomy, s. */
interface AnatomySeconds {
  load: number
  find: number
  draw: number
  total: number
}

/** Three numbers along `[z, y, x]`. */
type Axes = [number, number, number]

/** Memory of a card while it looks at one scan. */
interface CardMemory {
  /** What it had free when the run began, bytes; the weights are there already. */
  freeBytes: number
  /** What the scan was foreseen to take of it at most, bytes. */
  predictedBytes: number
  /** Tiles that were shown at a time; labels do not depend on it. */
  tilesAtOnce: number
  /** Those that there was to be room for; more than `tilesAtOnce` where there was none after all. */
  wantedTilesAtOnce: number
  /**
   * Whether the card resamples the scan and, where it works alone, decides its labels; `false`: the host does, since
   * there is no room for it, or since the model answers with classes.
   */
  wholeScan: boolean
}

/** Scores of one case, and what they go by. */
interface CaseEvaluation {
  /** By target. */
  scores: Scores
  /** Rules that a reader has to know. */
  rules: Array<ScoringRule>
  /** Voxels of the grid that count. */
  countedVoxels: number
}

/** Something a user should know of a case. */
interface CaseWarning {
  /** The case's name. */
  case: string
  /** A stable code. */
  code: string
  /** One sentence. */
  message: string
}

/** What was found. */
interface Checked {
  /** The worst light of all figures. */
  light: 'green' | 'yellow' | 'red'
  /** In one order always. */
  figures: Array<CheckFigure>
  /** Wall time by stage. */
  seconds: CheckSeconds
  /** What a user should know. */
  warnings: Array<Warning>
}

/** A figure of a label map without a reference. */
interface CheckFigure {
  /** Its key. */
  name: string
  /** Its name for people. */
  title: string
  /** Empty for a share. */
  unit: string
  /** Whether its rank follows the share of swapped voxels on phantoms, or it only tells of what cannot be. */
  kind: 'followsErrors' | 'plausibility'
  /** `null` where it is not defined. */
  value: number | null
  /** `green` within `plausible`, `yellow` within `doubtful`, else `red`; `null` without a value. */
  light: 'green' | 'yellow' | 'red' | null
  /** Lowest and highest plausible value. */
  plausible: [number, number]
  /** Beyond these it is red. */
  doubtful: [number, number]
  /** Where the ranges come from. */
  source: string
  /** What the size of a place is; empty where it has none. */
  placesUnit: string
  /** Where to look, the largest first. */
  places: Array<CheckPlace>
}

/** A place to look at. */
interface CheckPlace {
  /** RAS mm `[x, y, z]`. */
  atMm: Axes
  /** The voxel, `[z, y, x]`. */
  voxel: Axes
  /** How much is there, in the figure's `placesUnit`. */
  size: number
}

/** Variants of the published family. */
type CheckpointVariant = 'la-caf' | 'gap'

/** Wall time of checking, s. */
interface CheckSeconds {
  load: number
  anatomy: number
  check: number
  total: number
}

/** Something that a model tells apart. */
interface ClassInfo {
  /** Its name, as the model has it. */
  name: string
  /** Its value in label maps. */
  value: number
}

/** What a model that answers with classes is. */
interface ClassModelInfo {
  /** The plan's name. */
  name: string
  /** `plain-unet` or `residual-unet`. */
  preset: string
  /** Voxel size the network works at, mm, along its own axes. */
  spacingMm: Axes
  /** What the network sees at once, voxels, along its own axes. */
  patch: Axes
  /** Numbers of one network. */
  parameters: number
  /** Names of the folds, whose mean answers. */
  folds: Array<string>
  /** Names of the scans that it looks at, one a channel. */
  channels: Array<string>
  /** What it tells apart. */
  classes: Array<ClassInfo>
  /** Name of the data set it was trained on. */
  dataset: string
  /** Name of its trainer. */
  trainer: string
  /** Its licence, where known. */
  licence: string | null
  /** What a user should know, a sentence each. */
  notes: Array<string>
}

/** One thing to know of a data set or a case. */
interface DatasetFinding {
  /** The case's name; `null` where it concerns the whole data set. */
  case: string | null
  /**
   * A stable code. Of the lists: `NOT_CT`, `NO_CASES`, `LABELS_IGNORED`, `MISSING_IMAGE`, `MISSING_LABEL`,
   * `SECOND_CHANNEL`, `CLASS_WITHOUT_VALUE`, `BAD_SPLITS`. Of the files: `UNREADABLE`, `NO_ORIENTATION`, `UNITS`,
   * `FORMS_DIFFER`, `GEOMETRY`, `NOT_HU`, `DUPLICATE`. Of the labels: `UNKNOWN_LABEL`, `EMPTY_LABEL`,
   * `OTHER_CLASS`, `LABELS_OVERLAP`, `OUTSIDE_BODY`, `OTHER_SIDE`, `EMPTY_SIDE`. Of the anatomy: `NO_LUNGS`,
   * `ONE_LUNG`, `CUT_LUNGS`, `MIRRORED`.
   */
  code: string
  /** How much it matters. */
  severity: FindingSeverity
  /** What was found. */
  message: string
  /** What to do about it. */
  remedy: string
}

/** A library that is loaded at run time. */
interface DeviceLibrary {
  /** What it is called. */
  name: string
  /** Whether a GPU can be used without it. */
  optional: boolean
  /** The file name it was found under; `null` where it was not found. */
  found: string | null
  /** Why it was not found; `null` where it was. */
  problem: string | null
}

/** What this build and machine have for tensors beside the CPU. */
interface DeviceProbe {
  /** Whether this build has CUDA code. */
  compiled: boolean
  /** The newest CUDA version that the driver knows, `13.0`; `null` where there is no driver. */
  driver: string | null
  /** Libraries looked for, needed ones first; none without CUDA code. */
  libraries: Array<DeviceLibrary>
  /** The driver's cards. */
  cards: Array<GpuCard>
  /** Why no card can be used at all, and what to do; `null` where one may be. */
  reason: string | null
}

/** Prompts as the network would be given them. */
interface EncodedText {
  /** Token ids of each prompt, with start and end, no padding. */
  ids: Array<Array<number>>
  /** Numbers of one embedding. */
  width: number
  /** Prompts × width, row after row. */
  embeddings: Float32Array
}

/** What was written of a model. */
interface ExportedCheckpoint {
  /** Tensors in the file. */
  tensors: number
  /** Numbers in them. */
  parameters: number
}

/** What a file's header says. */
interface FileInfo {
  /** Voxels along `[z, y, x]`. */
  shape: Axes
  /** Voxel size in mm along `[z, y, x]`. */
  spacingMm: Axes
  /** 16 numbers, row-major: voxel `(x, y, z)` to RAS mm. */
  affine: Array<number>
  /** Where the file's axes i, j, k point to: `'RAS'` for right, front, head. */
  axcodes: string
  /** Stored data type, `int16` for instance. */
  dataType: string
  /** Byte order of the file. */
  littleEndian: boolean
  /** NIfTI's sform code; `null` for other formats. */
  sformCode: number | null
  /** NIfTI's qform code; `null` for other formats. */
  qformCode: number | null
  /** `nifti1`, `nifti2`, `nrrd`, `metaimage` or `dicom`. */
  format: string
  /** Lengths of the axes beyond the third; one of their volumes is named by `index`. */
  extra: Array<number>
  /** Slope and intercept of stored values, where there are any. */
  scaling: [number, number] | null
  /** `NO_ORIENTATION`, `FORMS_DIFFER`, `UNITS`, and those of DICOM. */
  warnings: Array<Warning>
}

/** How much a finding matters. `error`: training would stop, or learn something wrong; `warning`: should be looked at. */
type FindingSeverity = 'error' | 'warning'

/** What segmenting a scan will take. */
interface Forecast {
  /** The scan's voxels along `[z, y, x]`. */
  shape: Axes
  /** What the network will see at once, voxels `[z, y, x]`. */
  tile: Axes
  /** How many times it will look, folds and mirrored copies counted. */
  tiles: number
  /** The process's peak, bytes. */
  memoryBytes: number
  /** The card's memory; `null` on the CPU. */
  card: CardMemory | null
  /** Wall time, s. */
  seconds: number
}

/** A graphics card. */
interface GpuCard {
  /** Its number N in `cuda:N`. */
  number: number
  /** What the driver calls it. */
  name: string
  /** Compute capability, `9.0`. */
  capability: string
  /** Its memory. */
  totalBytes: number
  /** What of its memory nobody uses; `null` of a card that cannot be used. */
  freeBytes: number | null
  /** Why it cannot be used; `null` where it can. */
  reason: string | null
}

/** What became of every tensor of a checkpoint. */
interface ImportedCheckpoint {
  /** Name of the checkpoint's file, without its folder. */
  file: string
  /** SHA-256 of the file, hex. */
  sha256: string
  /** `PyTorch zip`, `PyTorch legacy` or `safetensors`. */
  container: string
  /** The dictionary that was taken, `net` for instance; empty at the top. */
  key: string
  /** What every name began with, `module.` for instance. */
  prefix: string
  /** The variant that was told or found. */
  variant: CheckpointVariant
  /** The published widths are divided by this. */
  widthDivisor: number
  /** The only patch that the network takes, voxels, `[z, y, x]`; of variant `gap` the published one. */
  patch: Axes
  /** Tensors that are part of the model, with their shape and type in the file. */
  mapped: Array<MappedTensor>
  /** Tensors that nothing uses, each with the reason. */
  unused: Array<UnusedTensor>
}

/** Labels of voxels, and where they are in the body. */
interface LabelMap {
  /** Labels, z slowest, x fastest. */
  data: Uint8Array
  /** Voxels along `[z, y, x]` (a file's axes k, j, i). */
  shape: Axes
  /** Voxel size in mm, `[z, y, x]`. */
  spacingMm: Axes
  /** 16 numbers, row-major: voxel `(x, y, z)` to RAS mm, as nibabel gives them. */
  affine: Array<number>
  /** `false` where the file says nothing of the patient's orientation. @default true */
  oriented?: boolean
}

/** A tensor of a checkpoint that is part of the model. */
interface MappedTensor {
  name: string
  shape: Array<number>
  dataType: string
}

/** How much of a structure there is in a label map. */
interface MeasuredStructure {
  /** Value in the label map. */
  value: number
  /** `left lung`, `airways`, … */
  name: string
  /** Voxels with this value. */
  voxels: number
  /** Their volume in ml. */
  volumeMl: number
}

/** The trees and loose pieces of one class. */
interface MeasuredTree {
  /** `artery`, `vein`, … */
  name: string
  /** Value in the label map. */
  value: number
  /** Its voxels. */
  voxels: number
  /** Their volume in ml. */
  volumeMl: number
  /** Length of all centrelines, mm. */
  lengthMm: number
  /** Parents before children, piece by piece. */
  branches: Array<TreeBranch>
  /** What hangs together, the longest first. */
  pieces: Array<TreePiece>
  /** Loops of the centreline, each cut at its thinnest place. */
  loops: Array<TreeLoop>
  /** Spurs that were pruned. */
  pruned: number
  /** Count, diameter and length by Strahler order, loose pieces left out. */
  orders: Array<TreeOrder>
  /** The tree as SWC, where asked for. */
  swc: string | null
  /** As `GraphML`. */
  graphml: string | null
  /** As VTK `PolyData`, legacy ASCII. */
  vtk: string | null
}

/** What a network with its plan is. */
interface NetworkInfo {
  /** The plan's name. */
  name: string
  /** `pulmoav` or `la-caf`. */
  preset: string
  /** Voxel size the network works at, mm, `[z, y, x]`. */
  spacingMm: Axes
  /** Parameters of the network. */
  parameters: number
  /** What can be asked for. */
  targets: Array<TargetInfo>
  /** Id of the text encoder whose embeddings the plan holds. */
  textEncoder: string
}

/** The process's peak memory. */
interface PeakMemory {
  peakBytes: number
}

/** Where a phantom's volumes go. */
interface PhantomFiles {
  /** Its CT. */
  image: string
  /** Its vessels. */
  label: string
  /** Its true lungs: 1 left, 2 right. */
  lungs: string
  /** Its bronchi and windpipe, wall and all. */
  airways: string
  /** What is where: 1 body, 3 left lung, 4 right lung, 5 airway lumen, 6 centreline of a lumen of 3 mm and more. */
  anatomy: string
}

/** How many voxels: `small` at most 20 million, `full` 512 × 512 × about 400. */
type PhantomSize = 'small' | 'full'

/** What kind of phantom: what real scans have, or trees by the branching law with little round the body. */
type PhantomStyle = 'hospital' | 'plain'

/** How far a call has come. */
interface Progress$1 {
  stage: string
  done: number
  total: number
}

/** What one patch came to. */
interface SampleReport {
  /** Index of its case among those learnt from. */
  case: number
  /** Calibre of the vessel it was drawn for: 0 small, 1 medium, 2 large; `null` where it was drawn for none. */
  calibre: number | null
  /** Soft Dice loss of artery and vein at the finest scale, 0 to 1; `null` where the reference has neither. */
  loss: number | null
}

/** What a score is. */
interface ScoreDescription$1 {
  /** Its key in the results. */
  name: string
  /** Its name for people. */
  title: string
  /** `mm`, `ml`, …; empty for shares and counts. */
  unit: string
  /** Which values are better; `null` where neither are. */
  better: 'higher' | 'lower' | null | null
  /** What it is asked for with. */
  group: 'overlap' | 'surface' | 'skeleton' | 'tree'
}

/** Scores of one case by target: `artery`, `vein`, … */
type Scores = Record<string, TargetScores>

/** What the scores of a case go by. */
interface ScoringRule {
  /** A stable name. */
  name: string
  /** What is done. */
  text: string
  /** Rows of the scores that it bore on; empty where it is about all of them. */
  targets: Array<string>
}

/** The result of segmenting one scan. */
interface Segmentation {
  /** Label map on the scan's own grid; 0 is background. */
  labels: LabelMap
  /** `[prompt, z, y, x]`, prompt slowest, on the scan's own grid; there when asked for. */
  probabilities?: Float32Array
  /** What was asked for and found. */
  targets: Array<SegmentedTarget>
  /** What was kept beside the vessels, with its values in `labels`; empty where nothing was to be. */
  structures: Array<MeasuredStructure>
  /** Wall time by stage. */
  seconds: SegmentSeconds
  /** Memory: allowed, predicted before the run, and the process's peak. */
  memory: SegmentMemory
  /** What the network saw at once, voxels `[z, y, x]` of the plan's grid. */
  tile: Axes
  /** Labelled voxels below −900 HU, which is air, that were cleared. */
  clearedInAir: number
  /**
   * How far the network doubts which class the vessels in the lungs are: the mean share of the less probable one of
   * artery and vein, 0 (certain) to 0.5; `null` where not both were asked for, or the network does not say.
   */
  classDoubt: number | null
  /** What giving each branch one class changed; `null` where that was not done. */
  tidied: TidyCounts | null
  /** What a user should know. */
  warnings: Array<Warning>
}

/** One target's share of the label map. */
interface SegmentedTarget {
  /** Value in the label map. */
  value: number
  /** Target's name. */
  name: string
  /** The prompt that resolved to it. */
  prompt: string
  /** Voxels with this value. */
  voxels: number
  /** Their volume in ml. */
  volumeMl: number
}

/** Memory of segmenting one scan. */
interface SegmentMemory {
  /** What was allowed; `null`: no limit. */
  budgetBytes: number | null
  /** What was predicted before the run. */
  predictedBytes: number
  /** The process's peak. */
  peakBytes: number
  /** That of the card; `null` on the CPU. */
  card: CardMemory | null
}

/** Wall time of segmenting one scan, s. */
interface SegmentSeconds {
  load: number
  prepare: number
  network: number
  restore: number
  tidy: number
  total: number
}

/** A series of DICOM: parallel slices that are read as one volume. */
interface SeriesInfo {
  /** Its number in this list, from 1; `series` takes it or the UID. */
  number: number
  /** DICOM's UID; the same for slices of one series that lie in several directions. */
  uid: string
  /** The number that the scanner gave it. */
  seriesNumber: number | null
  /** What it is called. */
  description: string
  /** The part of the body that was examined, in DICOM's words. */
  bodyPart: string
  /** The kernel it was reconstructed with. */
  kernel: string
  /** Slices that files hold. */
  slices: number
  /** Rows and columns of a slice. */
  rows: number
  columns: number
  /** Distance of slices, rows and columns in mm. */
  spacingMm: Axes
  /** Whether the slices lie across the body. */
  axial: boolean
  /** Whether it is read where no series is named. */
  chosen: boolean
}

/** What one step came to; what was not a finite number is `null`. */
interface StepReport {
  /** The loss over all scales and targets. */
  loss: number | null
  /** Global gradient norm before clipping. */
  gradNorm: number | null
  /** False where the gradient was not finite and the weights were left alone. */
  applied: boolean
  /** Wall time. */
  seconds: number
  /** Where it went. */
  parts: StepSeconds
  /** Loss of each target and auxiliary map at the finest scale; those without supervision in this batch are left out. */
  targets: Record<string, number | null>
  /** Each loss at the finest scale before its weight, by the name of the weight. */
  terms: Record<string, number | null>
  /** The patches of the batch. */
  samples: Array<SampleReport>
  /** What was learnt from the teacher; `null` where it took no part. */
  teacher: TeacherReport | null
  /** What was found out about the device meanwhile. */
  warnings: Array<Warning>
}

/** Where a step's time went, s. */
interface StepSeconds {
  /** Waiting for the batch. */
  batch: number
  /** Forward pass and loss. */
  forward: number
  /** Backward pass. */
  backward: number
  /** Optimiser, and freeing the graph. */
  update: number
}

/** The surface of one value of a label map. */
interface SurfacePart {
  /** The value. */
  value: number
  /** Its name. */
  name: string
  /** What its voxels fill, ml. */
  voxelsMl: number
  /** What its surface encloses, ml. */
  surfaceMl: number
  /** Its area, cm². */
  areaCm2: number
  /** How many triangles it has. */
  triangles: number
}

/** What can be asked for. */
interface TargetInfo {
  name: string
  value: number
  prompt: string
}

/** Scores of one target by name; `null` where one is not defined. */
type TargetScores = Record<string, number | null>

/** What a step learnt from its teacher. */
interface TeacherReport {
  /** The loss over all scales and targets, before its weight. */
  loss: number | null
  /** Of background, artery and vein. */
  verdicts: Array<Verdict>
}

/** A tidied label map and what was changed. */
interface Tidied {
  /** The label map. */
  labels: LabelMap
  /** Branches that got the other class. */
  changes: Array<TidyChange>
  /** Gaps that were bridged. */
  bridges: Array<TidyBridge>
  /** Pieces too small to tell that were cleared. */
  dropped: TidyPieces
  /** Pieces not connected to a tree of their class, before. */
  looseBefore: TidyPieces
  /** The same, after. */
  looseAfter: TidyPieces
  /** Wall time by stage. */
  seconds: TidySeconds
  /** What a user should know. */
  warnings: Array<Warning>
}

/** A gap that was bridged. */
interface TidyBridge {
  /** Where it starts, RAS mm `[x, y, z]`. */
  atMm: Axes
  /** The value of the pieces that it joins. */
  value: number
  /** Its length, mm. */
  lengthMm: number
  /** Its voxels. */
  voxels: number
}

/** A branch, or a part of one, that got the other class. */
interface TidyChange {
  /** Its middle, RAS mm `[x, y, z]`. */
  atMm: Axes
  /** The value that it had. */
  from: number
  /** The value that it has now. */
  to: number
  /** Its length, mm. */
  lengthMm: number
  /** Its voxels. */
  voxels: number
}

/** How much giving each branch one class changed. */
interface TidyCounts {
  /** Branches that got the other class, and their voxels. */
  changed: TidyPieces
  /** Gaps that were bridged, and the bridges' voxels. */
  bridged: TidyPieces
  /** Length of all bridges, mm. */
  bridgedMm: number
  /** Pieces too small to tell that were cleared. */
  dropped: TidyPieces
  /** Pieces not connected to a tree of their class, before. */
  looseBefore: TidyPieces
  /** The same, after. */
  looseAfter: TidyPieces
}

/** Some pieces of a label map. */
interface TidyPieces {
  pieces: number
  voxels: number
}

/** Wall time of tidying, s. */
interface TidySeconds {
  load: number
  anatomy: number
  tidy: number
  total: number
}

/** What an opened trainer says of itself. */
interface TrainerFacts {
  /** The next step to take. */
  step: number
  /** Numbers of the network. */
  parameters: number
  /** Of which: numbers that the run leaves as they are. */
  frozen: number
  /** Tensors that the model to begin with does not have, or has in another shape. */
  fresh: Array<string>
  /** Names of the cases learnt from. */
  trainingCases: Array<string>
  /** Names of the cases scored. */
  validationCases: Array<string>
  /** Best Dice that label maps keep through the plan's grid and back, by class. */
  ceiling: Record<string, number>
  /** What the cases learnt from gave cause to say. */
  warnings: Array<CaseWarning>
}

/** A vessel between two forks, or between a fork and an end. */
interface TreeBranch {
  /** The branch that it leaves; `null` for a root. */
  parent: number | null
  /** The branches that leave from its end. */
  children: Array<number>
  /** The piece that it belongs to. */
  piece: number
  /** Its centreline from the root's side outwards; the first point is its parent's last. */
  points: Array<TreePoint>
  /** Length along the centreline, mm. */
  lengthMm: number
  /** Mean radius outside the parent, mm. */
  radiusMm: number
  /** Volume of what lies nearest to it, ml. */
  volumeMl: number
  /** Forks between it and the root. */
  generation: number
  /** Strahler's order: 1 at an end. */
  strahler: number
  /** Angle to its parent's direction, degrees; `null` for a root. */
  angleDeg: number | null
  /** Length over the distance of its ends, less 1. */
  tortuosity: number
}

/** A loop that was cut. */
interface TreeLoop {
  /** Where, RAS mm `[x, y, z]`. */
  atMm: Axes
  /** Radius there, mm. */
  radiusMm: number
}

/** What the elements of one Strahler order come to; an element is a run of branches of one order. */
interface TreeOrder {
  order: number
  /** Number of elements. */
  count: number
  /** Mean diameter, weighted by length, mm. */
  diameterMm: number
  /** Mean length of an element, mm. */
  lengthMm: number
}

/** Branches that hang together. */
interface TreePiece {
  /** Its root branch. */
  root: number
  /** How many branches it has. */
  branches: number
  /** Length of all of them, mm. */
  lengthMm: number
  /** Their volume, ml. */
  volumeMl: number
  /** Whether it counts as a tree: a tenth of the longest piece's length or more. Else it is loose. */
  isTree: boolean
  /** Smallest distance from a loose piece's voxels to a tree's, mm; `null` for a tree. */
  gapMm: number | null
}

/** `[x, y, z, radius]`: RAS mm, and the vessel's radius there in mm. */
type TreePoint = [number, number, number, number]

/** Wall time of measuring trees, s. */
interface TreeSeconds {
  load: number
  measure: number
  total: number
}

/** What a prompt was understood as. */
interface Understood {
  /** The prompt as it was given. */
  text: string
  /** Its token ids, with start and end. */
  ids: Array<number>
  /** Whether it was longer than 77 tokens and was cut. */
  truncated: boolean
  /** The target's name, or `null` where the words mean nothing the model knows. */
  target: string | null
  /** How sure that is, 0 to 1. */
  confidence: number
}

/** A tensor of a checkpoint that nothing uses. */
interface UnusedTensor {
  name: string
  shape: Array<number>
  reason: string
}

/** What the teacher said of one class. */
interface Verdict {
  /** Voxels without a reference that it gave the class. */
  voxels: number
  /** How many of them count. */
  accepted: number
  /** The sum of their confidences. */
  confidence: number
  /** Voxels whose reference knows the class and gives it. */
  referenced: number
  /** Voxels whose reference knows the class and the teacher gives it. */
  predicted: number
  /** Those that both give it. */
  agreed: number
}

/** Trees of a label map. */
interface VesselTrees {
  /** One a value, in the order of the values. */
  trees: Array<MeasuredTree>
  /** Wall time by stage. */
  seconds: TreeSeconds
  /** The process's peak memory. */
  memory: PeakMemory
  /** What a user should know. */
  warnings: Array<Warning>
}

/** Voxel arrays by file data type; 64-bit integers are big integers. */
type VoxelArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array | BigUint64Array

/** Voxels and where they are in the body. */
interface VoxelVolume {
  /** Voxels, z slowest, x fastest. */
  data: VoxelArray
  /** Voxels along `[z, y, x]` (a file's axes k, j, i). */
  shape: Axes
  /** Voxel size in mm, `[z, y, x]`. */
  spacingMm: Axes
  /** 16 numbers, row-major: voxel `(x, y, z)` to RAS mm, as nibabel gives them. */
  affine: Array<number>
  /** `false` where the file says nothing of the patient's orientation: prompts with a side are refused. @default true */
  oriented?: boolean
}

/** Something a user should know that did not stop the work. */
interface Warning {
  /**
   * A stable code. Of the file: `NOT_HU`, `NO_ORIENTATION`, `FORMS_DIFFER`, `UNITS`, `COARSE_SPACING`. Of DICOM:
   * `FILES_SKIPPED`, `SERIES_CHOSEN`, `SINGLE_SLICE`, `DUPLICATE_SLICES`, `MISSING_SLICES`, `UNEVEN_SPACING`,
   * `TILT_RESAMPLED`, `HU_CLIPPED`. Of the anatomy: `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`,
   * `SIDES_UNCLEAR`, `ORIENTATION_UNCLEAR`. Of what was asked: `PROMPT_TRUNCATED`, `SMALLER_TILES`, `NOT_TIDIED`,
   * `VALUE_MISSING`. Of a label map: `EMPTY_RESULT`, `CLASSES_UNCLEAR`. Of a card: `PLAIN_LAUNCHES`,
   * `WRONG_KERNEL`.
   */
  code: string
  /** One sentence: what it is and, where something can be done, what to check. */
  message: string
}

/** How far a call has come. */
interface Progress extends Progress$1 {
    /** About how many seconds the stage still takes, by what of it is done; missing before anything is. */
    secondsLeft?: number;
}
/** Voxels and where they are in the body: a plain object. */
interface Volume<Data extends VoxelArray = VoxelArray> extends VoxelVolume {
    data: Data;
}
/**
 * Names a series of DICOM: its UID, or its number in the list of `listSeries`, from 1.
 */
type SeriesName = string | number;
/** Options of every long call. */
interface CallOptions {
    /** Cancels the call, which then rejects with `signal.reason`. */
    signal?: AbortSignal | undefined;
    /** Called about ten times a second while there is something new. */
    onProgress?: ((progress: Progress) => void) | undefined;
}

/** Options of {@link anatomy}. */
interface AnatomyOptions extends CallOptions {
    /** Which volume of a file with four or more axes. */
    index?: number | undefined;
    /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
    series?: SeriesName | undefined;
    /** Threads to compute with; results do not depend on it. @default all */
    threads?: number | undefined;
}
/**
 * Finds body, mediastinum, lungs and airways in a chest CT, given by path or as a volume in Hounsfield units. No model
 * is needed.
 *
 * @throws FormatError, GeometryError, IoError, MemoryError, UsageError
 * @example
 * const { labels, structures } = await anatomy('chest.nii.gz');
 * for (const { name, volumeMl } of structures) console.log(name, volumeMl);
 */
declare function anatomy(scan: string | Volume, options?: AnatomyOptions): Promise<Anatomy>;

/**
 * What networks compute in: 32-bit floats; on a GPU also those with products of values rounded to TF32, or 16-bit ones,
 * whose weights and sums keep 32.
 */
declare const PRECISIONS: readonly ['f32', 'tf32', 'bf16'];
type Precision = (typeof PRECISIONS)[number];

/** What is asked of one scan. */
interface SegmentOptions extends CallOptions {
    /** What to look for, in words. @default the plan's own: artery, vein */
    prompts?: string[] | undefined;
    /** Return probabilities too. @default false */
    probabilities?: boolean | undefined;
    /**
     * Write the lungs into the label map too, where it holds no vessel. Left and right get the first two values above all
     * that the model has: 10 and 11 with `tiny`.
     *
     * @default false
     */
    keepLungs?: boolean | undefined;
    /**
     * Write the airways into the label map too, with the value after the right lung's; of the preset, airways and their
     * walls get 10 and 11.
     *
     * @default false
     */
    keepAirways?: boolean | undefined;
    /**
     * Post-process the labels: the lungs decide on the side of prompts that name one, and specks, air and what touches no
     * lung are cleared.
     *
     * @default as the model's plan says: yes with `pulmoav` networks, no with `la-caf`, which was published without
     */
    postprocess?: boolean | undefined;
    /**
     * Give each branch one class, artery or vein: what lies on a branch of the other class follows it, gaps of up to 6 mm
     * are bridged, and loose specks go. Needs prompts of both classes.
     *
     * @default as the model's plan says; where it does not say, as `postprocess`, and not in voxels above
     * 27 mm³ (warning `NOT_TIDIED`)
     */
    tidy?: boolean | undefined;
    /**
     * Fail where there is anything to warn of: nothing is answered then. A prompt with a side where the scan leaves the
     * sides unclear fails before the network looks.
     *
     * @default false
     */
    strict?: boolean | undefined;
    /** Which volume of a file with four or more axes. */
    index?: number | undefined;
    /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
    series?: SeriesName | undefined;
    /**
     * Show each window as it is and mirrored, so that the mean answers: nnU-Net's models along the axes that they were
     * trained for, those with prompts left to right, unless the network has to tell sides. `false`: no window is.
     *
     * @default true of nnU-Net's models; of `tiny` every second window is mirrored, none is shown twice
     */
    mirror?: boolean | undefined;
    /**
     * Share of a window by which windows move on, above 0 up to 1: small shares overlap more.
     *
     * @default the model's own: 0.67 of `tiny`, 0.5 of nnU-Net's
     */
    step?: number | undefined;
    /** Keep the values that a preset's model gives, instead of 1 for arteries and 2 for veins. @default false */
    rawLabels?: boolean | undefined;
    /**
     * Windows that a GPU is shown at a time, of networks with prompts; labels do not depend on it.
     *
     * @default as many as fit
     */
    tilesAtOnce?: number | undefined;
    /** Most memory the process may use, bytes. @default no limit */
    maxMemory?: number | undefined;
}

/** How much is computed for one answer. */
declare const QUALITIES: readonly ['fast', 'normal', 'best'];
/** How much is computed for one answer: windows that overlap more or less, mirrored ones, one fold or all. */
type Quality = (typeof QUALITIES)[number];

/** Bytes of a file: all at once, or as they come. */
type FileBytes = Uint8Array | AsyncIterable<Uint8Array>;

/** Published pipelines of several models. */
declare const PRESETS: readonly ['totalsegmentator-lung-vessels'];
/** The name of a published pipeline. */
type Preset = (typeof PRESETS)[number];
/** Where and with what a {@link Segmenter} runs. */
interface LoadOptions extends CallOptions {
    /**
     * Name or directory of a model, or directory of a run of `pulmoav train`: of one with several folds, the mean of
     * their probabilities counts. Or the trainer's folder of an nnU-Net v2 model.
     *
     * @default 'tiny'
     */
    model?: string | undefined;
    /** A published pipeline of several models, instead of `model`. */
    preset?: Preset | undefined;
    /**
     * Folder of the preset's models.
     *
     * @default where TotalSegmentator itself looks: TOTALSEG_WEIGHTS_PATH, TOTALSEG_HOME_DIR, ~/.totalsegmentator
     */
    weights?: string | undefined;
    /** Folds of an nnU-Net folder whose mean answers, such as `['0', '1']` or `['all']`. @default every numbered one */
    folds?: string[] | undefined;
    /** File name of an nnU-Net folder's checkpoints. @default 'checkpoint_final.pth' */
    checkpoint?: string | undefined;
    /** `auto` (a GPU where one can be used, else the CPU), `cpu` or `cuda[:N]`. @default 'auto' */
    device?: string | undefined;
    /**
     * GPUs that share the work, such as `['cuda:0', 'cuda:1']`, in the place of `device`: the tiles of networks with
     * prompts, the folds of nnU-Net's models.
     */
    devices?: readonly string[] | undefined;
    /**
     * What the network computes in: `f32`, or, on a GPU, `bf16`, which is faster and takes half of the memory there, or
     * `tf32`, whose convolutions are of f32 values rounded to 10 bits of mantissa. Labels can differ in single voxels.
     *
     * @default 'f32'
     */
    precision?: Precision | undefined;
    /** Threads to compute with; results do not depend on it. @default all */
    threads?: number | undefined;
    /**
     * How much is computed for one answer: `fast` overlaps windows less, asks one fold and, of nnU-Net's, mirrors nothing,
     * `normal` is the model's own way, `best` shows windows both ways (networks with prompts) or overlaps more (others).
     * Options of a call that say otherwise count.
     *
     * @default 'normal'
     */
    quality?: Quality | undefined;
}
/**
 * A loaded model, ready for any number of scans.
 *
 * @example
 * using segmenter = await Segmenter.load();
 * const { labels, targets } = await segmenter.segment('chest.nii.gz', { prompts: ['artery', 'vein'] });
 */
declare class Segmenter {
    #private;
    /** How many models answer together: those of a run's folds, else 1. */
    readonly folds: number;
    /** The model's directory; the run's where several folds answer. */
    readonly model: string;
    /** Directories of all models that take part. */
    readonly directories: string[];
    /** The device it runs on: `cpu` or `cuda:N`; several with commas between. */
    readonly device: string;
    /** Why this one. */
    readonly deviceReason: string;
    /** Its licence, `null` where nobody says. */
    readonly licence: string | null;
    /** Papers to cite. */
    readonly citations: string[];
    private constructor();
    /**
     * Loads a model.
     *
     * @throws ModelError, DeviceError, UsageError
     */
    static load(options?: LoadOptions): Promise<Segmenter>;
    /**
     * Labels one scan: a path, the bytes of a file (all at once or as a stream, which go to a temporary file), or a volume
     * in Hounsfield units; an nnU-Net model of several channels takes a path or a volume a channel.
     *
     * @throws FormatError, GeometryError, PromptError, MemoryError, IoError; StrictError where `strict` is set
     */
    segment(scan: string | FileBytes | Volume | string[] | Volume[], given?: SegmentOptions): Promise<Segmentation>;
    /**
     * Foretells what segmenting a scan will take, at most about: by its header, and by showing the network one empty
     * window.
     *
     * @throws as {@link segment}; UsageError for presets
     */
    foretell(scan: string | string[], given?: SegmentOptions): Promise<Forecast>;
    /** Frees the model's memory; the segmenter cannot be used afterwards. */
    dispose(): void;
    [Symbol.dispose](): void;
}

/** One scan to label, from file to file. */
interface SegmentJob {
    /** The scan; of a model with several channels, one file a channel. */
    input: string | string[];
    /** The label map, `.nii`, `.nii.gz`, `.nrrd`, `.seg.nrrd`, `.mha` or, of DICOM, `.seg.dcm`; never the input itself. */
    output: string;
    /** What to look for, in words. */
    prompts?: string[] | undefined;
    /** Name or directory of a model, or directory of a run, or the trainer's folder of an nnU-Net v2 model. */
    model?: string | undefined;
    /** A published pipeline of several models, instead of a model. */
    preset?: Preset | undefined;
    /** Folder of the preset's models. */
    weights?: string | undefined;
    /** Folds of an nnU-Net folder whose mean answers. */
    folds?: string[] | undefined;
    /** File name of an nnU-Net folder's checkpoints. */
    checkpoint?: string | undefined;
    /** How much is computed for one answer. @default 'normal' */
    quality?: Quality | undefined;
    /** Show an nnU-Net model's windows mirrored too. */
    mirror?: boolean | undefined;
    /** Share of a window by which windows move on. */
    step?: number | undefined;
    /** Keep the values that a preset's model gives. */
    rawLabels?: boolean | undefined;
    /** `auto`, `cpu` or `cuda[:N]`. */
    device?: string | undefined;
    /** GPUs that share the work, `cuda:N`, in the place of `device`. */
    devices?: readonly string[] | undefined;
    /** What the network computes in: `f32`, or `tf32` or `bf16` on a GPU. */
    precision?: Precision | undefined;
    /** Threads to compute with. */
    threads?: number | undefined;
    /** Most memory the process may use, bytes. */
    maxMemory?: number | undefined;
    /** Windows that a GPU is shown at a time. @default as many as fit */
    tilesAtOnce?: number | undefined;
    /** Which volume of a file with four or more axes. */
    index?: number | undefined;
    /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
    series?: SeriesName | undefined;
    /** Write the lungs into the label map too, where it holds no vessel. */
    keepLungs?: boolean | undefined;
    /** Write the airways into the label map too. */
    keepAirways?: boolean | undefined;
    /** Post-process the labels, or not, whatever the plan says. */
    postprocess?: boolean | undefined;
    /** Give each branch one class, or not, whatever the plan says. */
    tidy?: boolean | undefined;
    /** Fail where there is anything to warn of, and write nothing. */
    strict?: boolean | undefined;
    /** Where to write probabilities, a 4-D NIfTI. */
    probabilities?: string | undefined;
    /**
     * Write `NAME.run.json` beside the label map: what it was made of (hashes of scan and model, options, versions) and
     * what this report says. @default false
     */
    record?: boolean | undefined;
    /** Replace a label map that is there; `false` refuses to. @default true */
    overwrite?: boolean | undefined;
}
/** What became of a {@link SegmentJob}. */
interface SegmentReport {
    output: string;
    /** What says how the label map was made; `null` where it was not asked for. */
    record: string | null;
    /** The model's directory; the run's where several folds answered. */
    model: string;
    /** How many folds answered together; 1 for a single model. */
    folds: number;
    /** The model's licence, `null` where nobody says. */
    licence: string | null;
    /** Papers to cite. */
    citations: string[];
    /** What it ran on: `cpu` or `cuda:N`; several with commas between. */
    device: string;
    /** Why on this. */
    deviceReason: string;
    seconds: Segmentation['seconds'] & {
        write: number;
    };
    memory: Segmentation['memory'];
    tile: Segmentation['tile'];
    clearedInAir: Segmentation['clearedInAir'];
    classDoubt: Segmentation['classDoubt'];
    tidied: Segmentation['tidied'];
    targets: SegmentedTarget[];
    structures: Segmentation['structures'];
    warnings: Warning[];
}
/**
 * Labels a scan from file to file. Whatever is wrong with the output's place is found before the work starts; the
 * output appears whole or not at all.
 *
 * @throws every error of this package
 */
declare function segmentToFile(job: SegmentJob, options?: CallOptions): Promise<SegmentReport>;
/** What a {@link SegmentJob} will take. */
interface SegmentForecast extends Forecast {
    output: string;
    /** The model's directory; the run's where several folds answer. */
    model: string;
    folds: number;
    device: string;
    threads: number;
}
/**
 * Reads the scan and checks a job as {@link segmentToFile} does, and foretells what it will take; nothing is written.
 *
 * @throws every error of this package
 */
declare function foretellJob(job: SegmentJob, options?: CallOptions): Promise<SegmentForecast>;

/** A failure as it crosses between processes. */
interface Failure {
    code: string;
    message: string;
    hint: string | null;
}

/** Endings of label maps. */
declare const FORMATS: readonly ['nii.gz', 'nii', 'nrrd', 'seg.nrrd', 'mha', 'seg.dcm'];
/** How a label map ends. */
type BatchFormat = (typeof FORMATS)[number];

/** Many scans to label with one model. */
interface BatchRequest extends Omit<SegmentJob, 'input' | 'output' | 'probabilities' | 'record' | 'overwrite'> {
    /** Files, folders, BIDS or nnU-Net data sets, or lists of jobs (`.json`). */
    inputs: string[];
    /** Folder of the label maps, their records and `batch.json`. */
    out: string;
    /** Ending of the label maps: `nii.gz`, `nii`, `nrrd`, `seg.nrrd`, `mha` or, of DICOM, `seg.dcm`. @default 'nii.gz' */
    format?: BatchFormat | undefined;
    /** Leave out what is made already: of the same scan by its hash, with the same model and options. @default false */
    resume?: boolean | undefined;
    /** Replace label maps that are there. @default false */
    overwrite?: boolean | undefined;
    /** Every n-th scan from the i-th on, `[i, n]`, counted from 1: for n machines that share the work. */
    shard?: [index: number, count: number] | undefined;
    /** Processes that label side by side; threads and memory are shared out. @default 2 where memory allows, or one a GPU of `devices` */
    processes?: number | undefined;
    /** Only say what would be done. @default false */
    dryRun?: boolean | undefined;
}
/** What became of one scan. */
interface BatchCase {
    name: string;
    inputs: string[];
    output: string;
    /** `made` before, with the same scan, model and options; `planned` in a dry run. */
    status: 'done' | 'made' | 'failed' | 'planned';
    error: Failure | null;
    seconds: number | null;
    targets: SegmentedTarget[];
    warnings: Warning[];
}
/** What became of a batch. */
interface BatchReport {
    out: string;
    /** In the order of their names. */
    cases: BatchCase[];
    done: number;
    made: number;
    failed: number;
    seconds: number;
    processes: number;
}
/** Options of {@link batch}. */
interface BatchOptions extends CallOptions {
    /** Called when a scan is done, made before, or failed. */
    onCase?: ((one: BatchCase, count: {
        ended: number;
        total: number;
    }) => void) | undefined;
}
/**
 * Labels many scans: the model is loaded once a process, and reading, computing and writing of several scans overlap.
 * A scan that fails does not stop the rest. Each label map appears whole or not at all, so a batch that was cancelled or
 * killed goes on with `resume`.
 *
 * @throws UsageError, IoError, FormatError for what concerns all scans; `signal.reason` when cancelled, with what is
 * finished kept
 */
declare function batch(request: BatchRequest, options?: BatchOptions): Promise<BatchReport>;

/** Options of {@link checkLabels}. */
interface CheckOptions extends CallOptions {
    /** The scan, as a path: a file or a folder of DICOM. */
    image: string;
    /** Value of the arteries, with `vein`. @default the values of our plans, with sides */
    artery?: number | undefined;
    /** Value of the veins, with `artery`. */
    vein?: number | undefined;
    /** Which volume of the scan's file with four or more axes. */
    index?: number | undefined;
    /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
    series?: SeriesName | undefined;
    /** Threads to compute with; results do not depend on it. @default all */
    threads?: number | undefined;
}
/**
 * Checks a label map of arteries and veins without a reference: figures that follow the share of swapped voxels, and
 * plain plausibility, each with the range that is plausible, a traffic light and places to look at.
 *
 * @throws FormatError, GeometryError, IoError, UsageError
 * @example
 * const { light, figures } = await checkLabels('labels.nii.gz', { image: 'chest.nii.gz' });
 * for (const { title, value, light } of figures) console.log(title, value, light);
 */
declare function checkLabels(path: string, options: CheckOptions): Promise<Checked>;

/** A whole training run. */
declare const trainConfig: z.ZodObject<{
    plan: z.ZodObject<{
        name: z.ZodString;
        spacingMm: z.ZodTuple<[z.ZodNumber, z.ZodNumber, z.ZodNumber], null>;
        channels: z.ZodArray<z.ZodDiscriminatedUnion<[z.ZodObject<{
            kind: z.ZodLiteral<"window">;
            windowHu: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
        }, z.core.$strict>, z.ZodObject<{
            kind: z.ZodLiteral<"side">;
        }, z.core.$strict>], "kind">>;
        patch: z.ZodTuple<[z.ZodNumber, z.ZodNumber, z.ZodNumber], null>;
        crop: z.ZodDiscriminatedUnion<[z.ZodObject<{
            kind: z.ZodLiteral<"none">;
        }, z.core.$strict>, z.ZodObject<{
            kind: z.ZodLiteral<"foreground">;
            aboveHu: z.ZodNumber;
        }, z.core.$strict>, z.ZodObject<{
            kind: z.ZodLiteral<"lungs">;
            marginMm: z.ZodNumber;
            bodyOnly: z.ZodOptional<z.ZodBoolean>;
        }, z.core.$strict>], "kind">;
        tiles: z.ZodObject<{
            tile: z.ZodTuple<[z.ZodNumber, z.ZodNumber, z.ZodNumber], null>;
            overlap: z.ZodNumber;
            blend: z.ZodEnum<{
                logits: "logits";
                probabilities: "probabilities";
            }>;
            skipEmpty: z.ZodBoolean;
            mirror: z.ZodBoolean;
            fit: z.ZodBoolean;
        }, z.core.$strict>;
        walls: z.ZodNullable<z.ZodObject<{
            hu: z.ZodNumber;
            reachMm: z.ZodNumber;
        }, z.core.$strict>>;
        postprocess: z.ZodOptional<z.ZodBoolean>;
        tidy: z.ZodOptional<z.ZodBoolean>;
        targets: z.ZodArray<z.ZodObject<{
            name: z.ZodString;
            value: z.ZodNumber;
            prompt: z.ZodString;
            classes: z.ZodArray<z.ZodEnum<{
                artery: "artery";
                vein: "vein";
            }>>;
            side: z.ZodNullable<z.ZodEnum<{
                left: "left";
                right: "right";
            }>>;
        }, z.core.$strict>>;
        defaultTargets: z.ZodArray<z.ZodString>;
        network: z.ZodDiscriminatedUnion<[z.ZodObject<{
            preset: z.ZodLiteral<"la-caf">;
            widthDivisor: z.ZodNumber;
            variant: z.ZodEnum<{
                gap: "gap";
                "la-caf": "la-caf";
            }>;
            textWidth: z.ZodNumber;
        }, z.core.$strict>, z.ZodObject<{
            preset: z.ZodLiteral<"pulmoav">;
            stageChannels: z.ZodArray<z.ZodNumber>;
            stageBlocks: z.ZodArray<z.ZodNumber>;
            promptWidth: z.ZodNumber;
            promptLayers: z.ZodNumber;
            heads: z.ZodNumber;
            supervisedScales: z.ZodNumber;
            textWidth: z.ZodNumber;
            auxiliary: z.ZodArray<z.ZodEnum<{
                airway: "airway";
            }>>;
        }, z.core.$strict>], "preset">;
    }, z.core.$strict>;
    textModel: z.ZodString;
    tower: z.ZodObject<{
        seed: z.ZodNumber;
        width: z.ZodNumber;
        layers: z.ZodNumber;
        steps: z.ZodNumber;
        batch: z.ZodNumber;
        learningRate: z.ZodNumber;
        smoothing: z.ZodNumber;
        optimizer: z.ZodDiscriminatedUnion<[z.ZodObject<{
            clipNorm: z.ZodNumber;
            meanDecay: z.ZodNumber;
            kind: z.ZodLiteral<"adamw">;
            beta1: z.ZodNumber;
            beta2: z.ZodNumber;
            epsilon: z.ZodNumber;
            weightDecay: z.ZodNumber;
        }, z.core.$strict>, z.ZodObject<{
            clipNorm: z.ZodNumber;
            meanDecay: z.ZodNumber;
            kind: z.ZodLiteral<"sgd">;
            momentum: z.ZodNumber;
            weightDecay: z.ZodNumber;
        }, z.core.$strict>], "kind">;
    }, z.core.$strict>;
    init: z.ZodNullable<z.ZodString>;
    steps: z.ZodUnion<readonly [z.ZodNumber, z.ZodString]>;
    fold: z.ZodNumber;
    schedule: z.ZodDiscriminatedUnion<[z.ZodObject<{
        learningRate: z.ZodNumber;
        warmupSteps: z.ZodNumber;
        kind: z.ZodLiteral<"cosine">;
        finalShare: z.ZodNumber;
    }, z.core.$strict>, z.ZodObject<{
        learningRate: z.ZodNumber;
        warmupSteps: z.ZodNumber;
        kind: z.ZodLiteral<"poly">;
        exponent: z.ZodNumber;
    }, z.core.$strict>], "kind">;
    step: z.ZodObject<{
        seed: z.ZodNumber;
        batch: z.ZodNumber;
        accumulate: z.ZodNumber;
        sampling: z.ZodObject<{
            artery: z.ZodNumber;
            vein: z.ZodNumber;
            anywhere: z.ZodNumber;
            unannotated: z.ZodNumber;
            jitter: z.ZodNumber;
        }, z.core.$strict>;
        augment: z.ZodObject<{
            flip: z.ZodObject<{
                probability: z.ZodNumber;
            }, z.core.$strict>;
            rotate: z.ZodObject<{
                probability: z.ZodNumber;
            }, z.core.$strict>;
            turn: z.ZodObject<{
                probability: z.ZodNumber;
                degrees: z.ZodTuple<[z.ZodNumber, z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            scale: z.ZodObject<{
                probability: z.ZodNumber;
                factor: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            elastic: z.ZodObject<{
                probability: z.ZodNumber;
                amountMm: z.ZodNumber;
                gridMm: z.ZodNumber;
            }, z.core.$strict>;
            gamma: z.ZodObject<{
                probability: z.ZodNumber;
                exponent: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            invertedGamma: z.ZodObject<{
                probability: z.ZodNumber;
                exponent: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            contrast: z.ZodObject<{
                probability: z.ZodNumber;
                factor: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            shift: z.ZodObject<{
                probability: z.ZodNumber;
                amountHu: z.ZodNumber;
            }, z.core.$strict>;
            blur: z.ZodObject<{
                probability: z.ZodNumber;
                sigmaVoxels: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            noise: z.ZodObject<{
                probability: z.ZodNumber;
                sdHu: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
                sigmaVoxels: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            slices: z.ZodObject<{
                probability: z.ZodNumber;
                thicknessMm: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            lowResolution: z.ZodObject<{
                probability: z.ZodNumber;
                voxelMm: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
            coarse: z.ZodObject<{
                probability: z.ZodNumber;
                voxelMm: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
            }, z.core.$strict>;
        }, z.core.$strict>;
        unannotated: z.ZodEnum<{
            background: "background";
            ignore: "ignore";
            teacher: "teacher";
        }>;
        loss: z.ZodObject<{
            dice: z.ZodNumber;
            bce: z.ZodNumber;
            skeletonRecall: z.ZodNumber;
            softClDice: z.ZodNumber;
            smooth: z.ZodNumber;
            batchDice: z.ZodBoolean;
            scaleWeights: z.ZodArray<z.ZodNumber>;
            mapWeights: z.ZodObject<{
                class: z.ZodNumber;
                sided: z.ZodNumber;
                union: z.ZodNumber;
                auxiliary: z.ZodNumber;
            }, z.core.$strict>;
        }, z.core.$strict>;
        optimizer: z.ZodDiscriminatedUnion<[z.ZodObject<{
            clipNorm: z.ZodNumber;
            meanDecay: z.ZodNumber;
            kind: z.ZodLiteral<"adamw">;
            beta1: z.ZodNumber;
            beta2: z.ZodNumber;
            epsilon: z.ZodNumber;
            weightDecay: z.ZodNumber;
        }, z.core.$strict>, z.ZodObject<{
            clipNorm: z.ZodNumber;
            meanDecay: z.ZodNumber;
            kind: z.ZodLiteral<"sgd">;
            momentum: z.ZodNumber;
            weightDecay: z.ZodNumber;
        }, z.core.$strict>], "kind">;
        frozen: z.ZodArray<z.ZodString>;
    }, z.core.$strict>;
    adapt: z.ZodObject<{
        teacher: z.ZodObject<{
            weight: z.ZodNumber;
            rampShare: z.ZodNumber;
            momentum: z.ZodNumber;
            trust: z.ZodTuple<[z.ZodNumber, z.ZodNumber], null>;
        }, z.core.$strict>;
        uncertainty: z.ZodObject<{
            enabled: z.ZodBoolean;
            rate: z.ZodNumber;
        }, z.core.$strict>;
        sampling: z.ZodObject<{
            enabled: z.ZodBoolean;
            gamma: z.ZodNumber;
            floor: z.ZodNumber;
            momentum: z.ZodNumber;
        }, z.core.$strict>;
    }, z.core.$strict>;
    validateEvery: z.ZodNumber;
    earlyStop: z.ZodObject<{
        validations: z.ZodNullable<z.ZodNumber>;
    }, z.core.$strict>;
    validateCases: z.ZodNumber;
    checkpointSeconds: z.ZodNumber;
}, z.core.$strict>;
/** A whole training run, as its config file gives it. */
type TrainConfig = z.infer<typeof trainConfig>;
/** Any part of `T`; arrays and tuples are given whole. */
type Part<T> = T extends readonly unknown[] ? T : T extends object ? {
    [Key in keyof T]?: Part<T[Key]>;
} : T;
/** What differs from a recipe. */
type TrainSettings = Part<TrainConfig> & {
    /** The recipe that gives all other fields. @default 'tiny' */
    recipe?: 'tiny' | 'la-caf';
};

/** Stable codes of everything that can go wrong; people script against them. */
type ErrorCode = 'ERR_USAGE' | 'ERR_FORMAT' | 'ERR_GEOMETRY' | 'ERR_CONFIG' | 'ERR_PROMPT' | 'ERR_MODEL' | 'ERR_DEVICE' | 'ERR_MEMORY' | 'ERR_IO' | 'ERR_STRICT' | 'ERR_INTERNAL';
/** What every failure of this package is an instance of. */
declare class PulmoavError extends Error {
    /** Stable code, the same across versions. */
    readonly code: ErrorCode;
    /** What to do about it, where the message does not say. */
    readonly hint: string | undefined;
    constructor(code: ErrorCode, message: string, options?: {
        cause?: unknown;
        hint?: string;
    });
}
/** A wrong argument or flag (`ERR_USAGE`). */
declare class UsageError extends PulmoavError {
    constructor(message: string, options?: {
        cause?: unknown;
        hint?: string;
    });
}
/** A file that is not what it should be (`ERR_FORMAT`). */
declare class FormatError extends PulmoavError {
}
/** A shape, an affine or an index that does not fit (`ERR_GEOMETRY`). */
declare class GeometryError extends PulmoavError {
}
/** A configuration that does not hold (`ERR_CONFIG`). */
declare class ConfigError extends PulmoavError {
    constructor(message: string, options?: {
        cause?: unknown;
        hint?: string;
    });
}
/** Words the model does not know, or know twice (`ERR_PROMPT`). */
declare class PromptError extends PulmoavError {
}
/** Weights that are missing, corrupt or of another kind (`ERR_MODEL`). */
declare class ModelError extends PulmoavError {
}
/** A device that is not there (`ERR_DEVICE`). */
declare class DeviceError extends PulmoavError {
}
/** More memory needed than allowed (`ERR_MEMORY`). */
declare class MemoryError extends PulmoavError {
}
/** A file that could not be read or written (`ERR_IO`). */
declare class IoError extends PulmoavError {
}
/** A warning where warnings were to be failures (`ERR_STRICT`). */
declare class StrictError extends PulmoavError {
}
/** A fault of this package (`ERR_INTERNAL`). */
declare class InternalError extends PulmoavError {
}
/** What to throw where the system does not let a file be read. */
declare function unreadable(path: string, error: unknown): IoError;
/** The error class that goes with a code; an unknown code is our own fault. */
declare function errorOf(code: string, message: string, cause?: unknown): PulmoavError;
/** Whether `error` is a failure that this package names. */
declare function isPulmoavError(error: unknown): error is PulmoavError;

/** Scores that are asked for together. */
type ScoreGroup = ScoreDescription$1['group'];
/** What a score is: name, title, unit (empty for a share from 0 to 1), which values are better. */
interface ScoreDescription extends Omit<ScoreDescription$1, 'group'> {
    /** With which others it is asked for; `null` for one that another program wrote. */
    group: ScoreGroup | null;
}
/** Every score that {@link evaluate} knows, in the order of results; the first one ranks cases. */
declare function listScores(): ScoreDescription[];
/** Values by target, then by score. */
type ByTarget<Value> = Record<string, Record<string, Value>>;

/** How confidence intervals are drawn. */
interface BootstrapSettings {
    /** How often cases are drawn anew. */
    draws: number;
    /** Seed of the draws: the same seed gives the same intervals on every machine. */
    seed: number;
    /** Share of such intervals that hold the true mean, above 0 and below 1. */
    level: number;
}
/** A confidence interval of a mean. */
interface Interval {
    low: number;
    high: number;
}

/** Wilcoxon's signed-rank test of paired differences, two-sided. */
interface Wilcoxon {
    /** The smaller one of the rank sums of positive and of negative differences. */
    statistic: number;
    /** How often the statistic is so small where neither side tends to be higher. */
    p: number;
    /** Differences that are not 0. */
    pairs: number;
    /** `exact`: over all signs; `normal`: by its normal limit, with the correction for ties. */
    method: 'exact' | 'normal';
}

/** A case that was scored. */
interface ScoredCase {
    name: string;
    /** The files that were compared. */
    pred: string;
    ref: string;
    /** The mask inside which voxels counted; missing where all of them did. */
    within?: string;
    scores: Scores;
    /** What the scores go by: what empty masks mean, which voxels count. */
    rules: ScoringRule[];
    /** Voxels of the grid that count. */
    countedVoxels: number;
}
/** A case that could not be scored, and why. */
interface FailedCase {
    name: string;
    error: PulmoavError;
}
/** One case of a folder. */
type CaseResult = ScoredCase | FailedCase;
/** A file that has no partner of its name. */
interface UnpairedFile {
    name: string;
    file: string;
    /** What is missing beside it. */
    missing: 'prediction' | 'reference';
}
/** Scores of a folder of label maps. */
interface Evaluation {
    /** The label maps and the references, as they were given. */
    pred: string;
    ref: string;
    /** One entry a case, by name. */
    cases: CaseResult[];
    /** Means over the cases in which a score is defined. */
    mean: Scores;
    /** Of each mean, its confidence interval over the cases; `null` where fewer than two have the score. */
    intervals: ByTarget<Interval | null>;
    /** How the intervals were drawn. */
    bootstrap: BootstrapSettings;
    /** Files without a partner; each is among the failed cases too. */
    unpaired: UnpairedFile[];
    /** What the scores are. */
    scores: ScoreDescription[];
}

/** Options of whatever draws confidence intervals. */
interface BootstrapOptions extends CallOptions {
    /**
     * How confidence intervals are drawn.
     *
     * @default 10,000 draws with seed 1, for intervals of 95 %
     */
    bootstrap?: Partial<BootstrapSettings> | undefined;
}

/** One score of one target of two models, over the cases in which both have it. */
interface ScoreComparison {
    /** So many cases. */
    cases: number;
    /** The means of the first and the second model. */
    first: number;
    second: number;
    /** The mean of first − second. */
    difference: number;
    /** The confidence interval of the difference; `null` for fewer than two cases. */
    interval: Interval | null;
    /** Cases in which the first one's value is higher, and in which it is lower. */
    higher: number;
    lower: number;
    /** Whether one tends to be higher; `null` where no case differs. */
    wilcoxon: Wilcoxon | null;
}
/** Two models on the same cases. */
interface Comparison {
    /** Cases that both have scores of. */
    cases: number;
    /** Cases that only the first, or only the second, has scores of; they are left out. */
    onlyFirst: string[];
    onlySecond: string[];
    /** By target and score; `null` where no case has it in both. */
    differences: ByTarget<ScoreComparison | null>;
    /** How the intervals were drawn. */
    bootstrap: BootstrapSettings;
    /** What the scores are. */
    scores: ScoreDescription[];
}
/**
 * Compares two models case by case: what {@link evaluateFolders} gave, or result files (of `pulmoav evaluate -o`,
 * `summary.json` of a report or of nnU-Net). Cases are paired by name. The p-values are not corrected for their number.
 *
 * @throws IoError, FormatError where a file is no result, or no case has the same target in both
 * @example
 * const { differences } = await compare('a.json', 'b.json');
 * console.log(differences.artery?.dice?.difference, differences.artery?.dice?.wilcoxon?.p);
 */
declare function compare(first: string | Evaluation, second: string | Evaluation, options?: BootstrapOptions): Promise<Comparison>;

/** Options of {@link evaluate}. */
interface EvaluateOptions extends CallOptions {
    /** Score inside this mask only (non-zero voxels), as a path. */
    within?: string | undefined;
    /**
     * Groups of scores (`overlap`: counts of voxels, `surface`: distances, `skeleton`: centrelines, `tree`: branches and
     * topology; `all` is every one) and names of single ones ({@link listScores}).
     * @default ['overlap']
     */
    scores?: readonly (ScoreGroup | 'all' | (string & {}))[] | undefined;
    /**
     * The group `skeleton` too (`clDice` and others), by 3-D thinning.
     * @default false
     */
    centrelines?: boolean | undefined;
    /**
     * A map of the lungs, as a path: 1 left and 2 right, or a label map of `pulmoav anatomy`. With it, rows for either
     * lung and for what lies outside both are given too, and scores by distance from the hilum.
     */
    lungs?: string | undefined;
    /** Which parts of a half-labelled reference are annotated; needs `lungs`. `central` is what lies outside them. */
    annotatedSides?: readonly ('left' | 'right' | 'central')[] | undefined;
    /** Values of the reference that do not count. */
    ignore?: readonly number[] | undefined;
    /**
     * Bring a prediction or mask that lies on another grid onto the reference's, each voxel with the nearest one's label,
     * instead of refusing it.
     * @default false
     */
    resample?: boolean | undefined;
    /** The reference's veins, as a path, where arteries (`ref`) and veins have a file each. */
    refVeins?: string | undefined;
    /**
     * What becomes of voxels that both files claim: they do not count, or are arteries or veins.
     * @default 'ignore'
     */
    overlap?: 'ignore' | 'artery' | 'vein' | undefined;
}
/**
 * Scores a label map against a reference on the same grid.
 *
 * @throws GeometryError when the grids differ, FormatError, IoError
 * @example
 * const { artery } = await evaluate('pred.nii.gz', 'ref.nii.gz', { scores: ['overlap', 'surface'] });
 * console.log(artery?.dice, artery?.hd95);
 */
declare function evaluate(pred: string | Volume, ref: string | Volume, options?: EvaluateOptions): Promise<Scores>;
/**
 * As {@link evaluate}, with the rules that the scores go by: what empty masks mean, which voxels count.
 *
 * @throws what {@link evaluate} throws
 */
declare function evaluateCase(pred: string | Volume, ref: string | Volume, options?: EvaluateOptions): Promise<CaseEvaluation>;
/** Options of {@link evaluateFolders}; `within`, `lungs` and `refVeins` are folders where `pred` is one. */
interface EvaluateFoldersOptions extends EvaluateOptions, BootstrapOptions {
    /** Memory that cases scored side by side may take together, bytes. @default half of what is free */
    maxMemory?: number | undefined;
}
/**
 * Scores a folder of label maps against a folder with the same names, whatever their formats, or one label map against
 * its reference. In a folder, a case that cannot be scored, a missing prediction for one, is listed with its error and
 * does not stop the others.
 *
 * @throws IoError where a path or a folder's files are missing; everything {@link evaluate} throws for a single file
 * @example
 * const { mean, intervals, cases } = await evaluateFolders('predictions', 'labelsTs');
 * console.log(mean.artery?.dice, intervals.artery?.dice, cases.filter((one) => 'error' in one));
 */
declare function evaluateFolders(pred: string, ref: string, options?: EvaluateFoldersOptions): Promise<Evaluation>;

/** What to export, and where to. */
interface ExportOptions extends CallOptions {
    /** Name or directory of a `la-caf` model. */
    model: string;
    /** The file to write, `.safetensors`; it is replaced in one step. */
    out: string;
}
/** What was written. */
interface ExportReport extends ExportedCheckpoint {
    /** The file. */
    output: string;
}
/**
 * Writes a `la-caf` model's weights under their published PyTorch names and axes; {@link importCheckpoint} takes them
 * back.
 *
 * @throws UsageError, ModelError, IoError
 */
declare function exportCheckpoint(options: ExportOptions): Promise<ExportReport>;

/** What a checkpoint's row of embeddings was a prompt for. */
interface PromptTarget {
    /** Its name, by which it can be asked for. */
    name: string;
    /** Its value in label maps, 1 to 255. */
    value: number;
    /** The words it was trained with. */
    prompt: string;
    /** The vessels it is made of. */
    classes: ('artery' | 'vein')[];
    /** The patient's side; `null` for both. */
    side: 'left' | 'right' | null;
}
/** What to import, and what the file does not say. */
interface ImportOptions extends CallOptions {
    /** The checkpoint: `.pth` or `.pt` as PyTorch writes them, or `.safetensors`. Told by content; nothing in it is executed. */
    file: string;
    /** The model directory to write: a new one, an empty one, or a model to replace. */
    out: string;
    /** The variant. @default told by the tensors */
    variant?: CheckpointVariant | undefined;
    /**
     * The prompts in the checkpoint's order: names of our targets (`'left artery'`), or targets of its own.
     *
     * @default left artery, left vein, right artery, right vein
     */
    prompts?: (string | PromptTarget)[] | undefined;
    /** The window that the network was trained with, HU; the scan is cropped to what lies above its low end. @default [-700, 300] */
    windowHu?: [low: number, high: number] | undefined;
    /** The voxel size that the network was trained at, mm: one for all axes, or `[z, y, x]`. @default 1.5 */
    spacingMm?: number | Axes | undefined;
}
/** What became of every tensor of a checkpoint. */
interface ImportReport extends ImportedCheckpoint {
    /** The model directory. */
    output: string;
}
/**
 * Makes a model directory of a checkpoint of the published family (`la-caf`). The directory appears whole or not at
 * all.
 *
 * @example
 * const { output, unused } = await importCheckpoint({ file: 'best.pth', out: 'imported' });
 * using segmenter = await Segmenter.load({ model: output });
 *
 * @throws UsageError for another number of prompts than the checkpoint's; ModelError for tensors that are missing, of
 * another kind or damaged, and for pickles that hold more than data; FormatError for what is no checkpoint; IoError
 */
declare function importCheckpoint(options: ImportOptions): Promise<ImportReport>;

/** Options of {@link info}. */
interface InfoOptions extends CallOptions {
    /** Which series of DICOM, by its UID or its number in the list of {@link listSeries}. @default the rule's choice */
    series?: SeriesName | undefined;
}
/**
 * Reads a file's header only; of DICOM, that of the series that would be read.
 *
 * @throws FormatError, GeometryError, IoError
 */
declare function info(path: string, options?: InfoOptions): Promise<FileInfo>;
/**
 * Lists the CT series of a DICOM folder, zip archive or file; at most one of them is `chosen`, which is what is read
 * where no series is named. Files of other formats have none.
 *
 * @throws FormatError for DICOM without a CT, and for folders without DICOM; IoError
 * @example
 * for (const { number, description, slices } of await listSeries('study')) console.log(number, description, slices);
 */
declare function listSeries(path: string, options?: CallOptions): Promise<SeriesInfo[]>;
/** What this installation can do. */
interface Health {
    version: string;
    node: string;
    platform: string;
    threads: number;
    memoryBytes: number;
    simd: string;
    /** The native addon in use, and whether it has CUDA code. */
    addon: {
        path: string;
        cuda: boolean;
    };
    devices: {
        name: string;
        usable: boolean;
        reason: string | null;
    }[];
    /** The CUDA driver, its libraries and its cards; `null` where the addon has no CUDA code. */
    cuda: DeviceProbe | null;
    bundledModel: {
        path: string;
        present: boolean;
    };
}
/** Looks at this installation: addon, processor, devices, bundled model. A CUDA driver is asked and waited for. */
declare function doctor(): Health;

/** Red, green, blue, 0 to 255. */
type Rgb = [red: number, green: number, blue: number];
/** What a value of a label map is: its name and colour, and a code that other programs know. */
interface LabelName {
    value: number;
    name: string;
    colour: Rgb;
    /** A term of SNOMED CT. */
    code?: {
        value: string;
        meaning: string;
        side?: [value: string, meaning: string];
    } | undefined;
}
/** Names, colours and codes of what was found. */
declare function labelNames(found: readonly {
    value: number;
    name: string;
}[]): LabelName[];

/** `pulmoav`: networks with their plan; `clip`: text models in Hugging Face's naming. */
type ModelKind = 'pulmoav' | 'clip';

/** A file of a model, and what is known of its content. */
interface VerifiedFile {
    name: string;
    bytes: number;
    /** The hash that its content was found to have, hex; `null` where nothing says what it should be. */
    hash: string | null;
}

/** Options of {@link pullModel}. */
interface PullOptions extends CallOptions {
    /** Branch, tag, `refs/pr/N` or commit. @default 'main' */
    revision?: string | undefined;
    /** Take what the cache has, and never use the network. @default what HF_HUB_OFFLINE says */
    offline?: boolean | undefined;
    /** Silence after which a transfer counts as broken, ms. @default 30000 */
    timeoutMs?: number | undefined;
    /** Further tries of a transfer that breaks off. @default 4 */
    retries?: number | undefined;
}
/** A model that is now in the cache. */
interface PulledModel {
    /** `owner/name`. */
    name: string;
    /** `pulmoav` (a network with its plan) or `clip` (a text model). */
    kind: ModelKind;
    /** The directory, for `model` and `textModel`. */
    path: string;
    /** The revision that was taken. */
    revision: string;
    /** Its commit. */
    commit: string;
    /** What was downloaded now, bytes; 0 where all of it was there. */
    downloadedBytes: number;
    /** `SIDE_REVISION` where the asked revision has no weights and a known other one was taken. */
    warnings: Warning[];
}
/**
 * Brings a model of the Hugging Face hub into Hugging Face's cache, or goes on where an earlier call stopped. Every
 * file's hash is checked before it gets its name. The environment's HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN,
 * HF_HUB_OFFLINE, HTTP_PROXY, HTTPS_PROXY and NO_PROXY are heeded.
 *
 * @example
 * const { path } = await pullModel('openai/clip-vit-base-patch32');
 *
 * @throws UsageError; ModelError where there is none; IoError where network or disk fail; FormatError where what came
 * is not what was named; ConfigError where the environment's addresses are none; `signal.reason` when cancelled
 */
declare function pullModel(name: string, options?: PullOptions): Promise<PulledModel>;

/** A model on this machine. */
interface ListedModel {
    /** What to call it by: `tiny`, or `owner/name`. */
    name: string;
    /** `pulmoav` (a network with its plan) or `clip` (a text model). */
    kind: ModelKind;
    /** With the package, or in Hugging Face's cache. */
    source: 'bundled' | 'cache';
    /** Its directory. */
    path: string;
}
/** What a directory with a network and its plan holds. */
interface ModelInfo extends NetworkInfo {
    kind: 'pulmoav';
    /** Its directory. */
    path: string;
    /** For a model of the cache: its files, each with the hash that was checked. */
    files?: VerifiedFile[];
}
/** What a directory with a network that answers with classes holds: nnU-Net's folder, or a model made of one. */
interface ClassesInfo extends ClassModelInfo {
    kind: 'classes';
    /** Its directory. */
    path: string;
    /** For a model of the cache: its files, each with the hash that was checked. */
    files?: VerifiedFile[];
}
/** What a directory with a CLIP text model holds. */
interface TextModelInfo {
    kind: 'clip';
    /** As it was asked for. */
    name: string;
    /** Its directory. */
    path: string;
    /** Tensors in its weights, those of the image side included. */
    tensors: number;
    /** For a model of the cache: its files, each with the hash that was checked. */
    files?: VerifiedFile[];
}
/** The models on this machine: bundled ones, then whole ones of Hugging Face's cache that can be used here. */
declare function listModels(): ListedModel[];
/**
 * The directory of a model given by name (`tiny`, or `owner/name` for a pulled one) or by path: its own directory, or a
 * run's, which has it in `best` or `latest`.
 *
 * @throws ModelError where there is none, or several
 */
declare function findModel(model?: string): string;
/**
 * Checks a model and says what it is: a network is loaded once, so whatever is wrong with it is found; weights of a
 * text model must be whole; and what was pulled must still have the hashes it was pulled with.
 *
 * @throws ModelError, FormatError, IoError
 */
declare function verifyModel(model?: string, options?: CallOptions): Promise<ModelInfo | ClassesInfo | TextModelInfo>;
/**
 * Deletes all that Hugging Face's cache has of a model, every revision and what other programs put there included, and
 * says what that was.
 *
 * @throws UsageError for what is not in the cache's keeping; ModelError where there is none; IoError
 */
declare function removeModel(name: string): Promise<{
    name: string;
    path: string;
    bytes: number;
}>;

/** Which model of nnU-Net's is meant. */
interface NnunetSource {
    /** The trainer's folder: `TRAINER__PLANS__CONFIGURATION`. */
    directory: string;
    /** Folds whose mean answers, such as `['0', '1']` or `['all']`. @default every numbered one */
    folds?: string[] | undefined;
    /** File name of the checkpoints. @default 'checkpoint_final.pth' */
    checkpoint?: string | undefined;
}
/** What to import. */
interface NnunetImportOptions extends NnunetSource, CallOptions {
    /** The model directory to write: a new one, an empty one, or a model to replace. */
    out: string;
}
/** An imported model. */
interface NnunetImport extends ClassModelInfo {
    /** The model directory. */
    output: string;
}
/**
 * Makes a model directory of an nnU-Net v2 model: the networks' weights only, without a pickle. It labels scans as the
 * folder does, bit for bit. The directory appears whole or not at all.
 *
 * @throws ModelError for a folder that cannot be used; UsageError, IoError
 * @example
 * const { output } = await importNnunet({ directory: 'nnUNetTrainer__nnUNetPlans__3d_fullres', out: 'imported' });
 * using segmenter = await Segmenter.load({ model: output });
 */
declare function importNnunet(options: NnunetImportOptions): Promise<NnunetImport>;
/**
 * Says what an nnU-Net v2 model, or one that was made of it, is. Of nnU-Net's own folder no weights are read.
 *
 * @throws ModelError for a folder that cannot be used; UsageError
 */
declare function inspectNnunet(options: NnunetSource & CallOptions): Promise<ClassModelInfo>;

/** Which sides and classes of a case were annotated; the rest is 0 in the file. Without either it is unlabelled. */
declare const annotated: z.ZodObject<{
    sides: z.ZodArray<z.ZodEnum<{
        left: "left";
        right: "right";
    }>>;
    classes: z.ZodArray<z.ZodEnum<{
        artery: "artery";
        vein: "vein";
    }>>;
    central: z.ZodOptional<z.ZodBoolean>;
}, z.core.$strip>;
type Annotated = z.infer<typeof annotated>;

/** What phantoms to make. */
interface PhantomOptions extends CallOptions {
    /** Folder of the data set; it is made, or added to. */
    out: string;
    /** How many. @default 1 */
    count?: number | undefined;
    /** Seed of the first one; each further one takes the next. @default 1 */
    seed?: number | undefined;
    /** Annotate one lung only, left and right in turn. @default false */
    halfLabelled?: boolean | undefined;
    /** `small`: at most 20 million voxels; `full`: 512 × 512 × about 400. @default 'small' */
    size?: PhantomSize | undefined;
    /**
     * `hospital`: what real scans have, each drawn at random; `plain`: trees by the branching law and little round the
     * body, what benchmarks score on. @default 'hospital'
     */
    style?: PhantomStyle | undefined;
}
/** One phantom that was written. */
interface PhantomCase extends PhantomFiles {
    name: string;
    seed: number;
    /** `arterial`, `venous`, `equal` or `none`. */
    phase: string;
    style: PhantomStyle;
    /** What is in it: build, slices, kernel, table, cover, field of view, device, findings, centrelines by calibre. */
    scan: Record<string, unknown>;
    annotated: Annotated;
}
/**
 * Writes synthetic chests with known vessels as a data set in nnU-Net's shape. A phantom depends on its seed, size
 * and style alone; one that is already listed in the folder's `dataset.json` is kept. One process at a time may add to a folder.
 *
 * @throws IoError, UsageError, FormatError
 */
declare function phantom(options: PhantomOptions): Promise<PhantomCase[]>;

/** The figures of a data set that a plan is made of. */
interface Fingerprint {
    /** How many cases are annotated in full, in part (one lung, one class), not at all, or cannot be used. */
    cases: {
        full: number;
        half: number;
        unlabelled: number;
        unusable: number;
    };
    /** In how many cases each side is annotated. */
    sides: {
        left: number;
        right: number;
    };
    /** In how many cases each class is annotated. */
    classes: {
        artery: number;
        vein: number;
    };
    /** Voxel size `[z, y, x]` in mm: its median and range over the cases. */
    spacingMm: {
        median: Axes;
        least: Axes;
        most: Axes;
    };
    /** Median number of voxels, `[z, y, x]`. */
    shape: Axes;
    /** HU below which 0.5, 50 and 99.5 % of the labelled voxels lie, medians over the cases; `null` without such voxels. */
    hu: {
        artery: [number, number, number] | null;
        vein: [number, number, number] | null;
    };
    /** Shares of the labelled voxels in vessels of a radius below 1.5 mm, up to 3 mm, and above. */
    calibres: {
        artery: [number, number, number] | null;
        vein: [number, number, number] | null;
    };
    /** Best Dice that the labels keep on isotropic voxels, means over some cases. */
    ceilings: {
        edgeMm: number;
        artery: number | null;
        vein: number | null;
    }[];
}

/** Why a field of a config is what it is. */
interface PlanReason {
    /** Path of the field in the config. */
    field: string;
    /** Its value, for people. */
    value: string;
    reason: string;
}
/** What was chosen for a data set. */
interface Choice {
    config: TrainSettings;
    reasons: PlanReason[];
    /** Best Dice that the chosen spacing allows, by class. */
    ceiling: {
        artery: number | null;
        vein: number | null;
    };
    /** Memory that a training step is foreseen to take at its peak. */
    predictedBytes: number;
}

/** Options of {@link plan}. */
interface PlanOptions extends CallOptions {
    /** File to write the training config to. */
    out?: string | undefined;
    /** Memory that training may take. @default half of the machine's */
    maxMemoryBytes?: number | undefined;
    /** Writes `splits_final.json` with so many folds into the data set, where there is none. */
    folds?: number | undefined;
}
/** A training config made for a data set. */
interface TrainingPlan extends Choice {
    /** What was measured. */
    fingerprint: Fingerprint;
    /** Memory that training may take. */
    budgetBytes: number;
    /** Whether `splits_final.json` was written, was there, or was not asked for. */
    splits: 'written' | 'kept' | null;
}
/**
 * Measures a data set and makes a training config for it: what differs from the recipe `tiny`, with the reasons.
 *
 * @param dataset folder with imagesTr, labelsTr and dataset.json
 * @throws IoError, FormatError where the data set cannot be read or has no labelled case; MemoryError; UsageError
 * @example
 * const { config, reasons } = await plan('data', { maxMemoryBytes: 8 * 2 ** 30 });
 * await train({ dataset: 'data', out: 'run', config });
 */
declare function plan(dataset: string, options?: PlanOptions): Promise<TrainingPlan>;

/** One scan whose anatomy is written to a folder. */
interface AnatomyJob {
    /** The scan. */
    input: string;
    /** The folder, made where it is missing; other files in it are left alone. */
    out: string;
    /** Which volume of a file with four or more axes. */
    index?: number | undefined;
    /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
    series?: SeriesName | undefined;
    /** Threads to compute with. @default all */
    threads?: number | undefined;
}
/** What became of an {@link AnatomyJob}; `anatomy.json` holds the same. */
interface AnatomyReport {
    /** The label map, the picture and the report that were written. */
    files: {
        labels: string;
        picture: string;
        report: string;
    };
    structures: MeasuredStructure[];
    carinaMm: Anatomy['carinaMm'];
    seconds: Anatomy['seconds'] & {
        write: number;
    };
    memory: Anatomy['memory'];
    warnings: Warning[];
}
/**
 * Writes a scan's anatomy to a folder: `anatomy.nii.gz` on the scan's own grid, `anatomy.png`, `anatomy.json`. Whatever
 * is wrong with the folder is found before the work starts; each file appears whole or not at all.
 *
 * @throws every error of {@link anatomy}, and IoError
 */
declare function anatomyToFolder(job: AnatomyJob, options?: CallOptions): Promise<AnatomyReport>;

/** An evaluation that is written to a folder. */
interface EvaluationJob {
    evaluation: Evaluation;
    /** A second model on the same references, to compare with. */
    against?: Evaluation | undefined;
    /** The folder, made where it is missing; other files in it are left alone. */
    out: string;
    /** Folder of the scans, drawn behind the outlines; files pair by name, nnU-Net's `_0000` included. */
    images?: string | undefined;
    /** So many of the worst cases are drawn. @default 6 */
    pictures?: number | undefined;
}
/** What was written of an {@link EvaluationJob}. */
interface EvaluationReport {
    /** The files, by what they are. */
    files: EvaluationFiles;
    /** `null` without a second model. */
    comparison: Comparison | null;
    /** `NO_PICTURE`, `NO_SCAN`: what could not be drawn. */
    warnings: Warning[];
}
/** Files of an {@link EvaluationReport}. */
interface EvaluationFiles {
    /** nnU-Net's `summary.json`, with all of ours under `pulmoav`. */
    summary: string;
    /** A row a case and target, a column a score. */
    scores: string;
    /** One page that needs no other file. */
    page: string;
    /** Of the second model, where there is one. */
    againstSummary?: string;
    againstScores?: string;
    comparison?: string;
}
/**
 * Writes an evaluation to a folder: `summary.json` as nnU-Net has it, `scores.csv` and `report.html`, a page that loads
 * nothing from elsewhere. With a second model, its `against-summary.json` and `against-scores.csv`, and
 * `comparison.json`. Each file appears whole or not at all, and none replaces what was read.
 *
 * @throws UsageError, IoError, FormatError; FormatError where the two models have no case in common
 * @example
 * const evaluation = await evaluateFolders('predictions', 'labelsTs');
 * const { files } = await evaluationToFolder({ evaluation, out: 'report', images: 'imagesTs' });
 * console.log(files.page);
 */
declare function evaluationToFolder(job: EvaluationJob, options?: CallOptions): Promise<EvaluationReport>;

/** Options of {@link tree}. */
interface TreeOptions extends CallOptions {
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
/**
 * Measures a mask or label map of vessels, given by path or as a volume, as trees: branches with length, radius, angle,
 * generation and Strahler order, loose pieces and loops. One result a label value; places are RAS mm.
 *
 * @throws FormatError, GeometryError, IoError, UsageError
 * @example
 * const { trees } = await tree('labels.nii.gz');
 * for (const { name, branches, lengthMm } of trees) console.log(name, branches.length, lengthMm);
 */
declare function tree(mask: string | Volume, options?: TreeOptions): Promise<VesselTrees>;

/** One label map whose trees are written to a folder. */
interface TreeJob {
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
interface TreeReport {
    /** The files that were written: report, picture, and three a class. */
    files: {
        report: string;
        picture: string;
        trees: string[];
    };
    trees: TreeSummary[];
    seconds: VesselTrees['seconds'] & {
        write: number;
    };
    memory: VesselTrees['memory'];
    warnings: Warning[];
}
/** One class in short. */
interface TreeSummary {
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
/**
 * Writes the trees of a label map to a folder: `tree.json` with everything that was measured, `tree.png`, and
 * `NAME.swc`, `NAME.graphml`, `NAME.vtk` a class. Nothing is written before all is measured; each file appears whole or
 * not at all, the report last.
 *
 * @throws every error of {@link tree}, and IoError
 */
declare function treeToFolder(job: TreeJob, options?: CallOptions): Promise<TreeReport>;

/** Options of {@link writeSurface}. */
interface SurfaceOptions extends CallOptions {
    /** Which values of the map, with what they are. @default all, named by the map's record where one lies beside it */
    labels?: LabelName[] | undefined;
    /** Of those only these. */
    values?: number[] | undefined;
}
/**
 * Writes the surfaces of a label map's values as binary STL, PLY or glTF (`.stl`, `.ply`, `.glb`): smoothed, enclosing
 * what the voxels fill, in RAS mm (glTF: in metres with y up, as that format wants it).
 *
 * @throws FormatError, IoError, UsageError
 */
declare function writeSurface(map: string, output: string, options?: SurfaceOptions): Promise<SurfacePart[]>;

/** Options of {@link encodeText} and {@link understand}. */
interface TextOptions extends CallOptions {
    /** Name or directory of the model whose text encoder is used. @default 'tiny' */
    model?: string | undefined;
    /** `auto`, `cpu` or `cuda[:N]`. @default 'auto' */
    device?: string | undefined;
}

/**
 * Token ids and embeddings of prompts.
 *
 * @throws PromptError, ModelError, DeviceError
 */
declare function encodeText(prompts: string[], options?: TextOptions): Promise<EncodedText>;
/**
 * What the model takes each prompt to mean.
 *
 * @throws ModelError, DeviceError
 */
declare function understand(prompts: string[], options?: TextOptions): Promise<Understood[]>;

/** Options of {@link tidy}. */
interface TidyOptions extends CallOptions {
    /** Value of the arteries. @default 1 */
    artery?: number | undefined;
    /** Value of the veins. @default 2 */
    vein?: number | undefined;
    /** The scan, as a path: with it the airways tell arteries from veins, and gaps are bridged. */
    image?: string | undefined;
    /** Which volume of the scan's file with four or more axes. */
    index?: number | undefined;
    /** Threads to compute with; results do not depend on it. @default all */
    threads?: number | undefined;
}
/**
 * Gives each branch of a label map one class: what lies on a branch of the other class follows it, gaps are bridged and
 * loose specks go. Nothing is written; every change is told.
 *
 * @throws FormatError, GeometryError, IoError, UsageError
 * @example
 * const { labels, changes, looseBefore, looseAfter } = await tidy('labels.nii.gz', { image: 'chest.nii.gz' });
 */
declare function tidy(path: string, options?: TidyOptions): Promise<Tidied>;

/** One line of a run's log. */
type TrainEvent = {
    type: 'start';
    step: number;
    /** Which fold of the data set is validated on. */
    fold: number;
    steps: number | null;
    parameters: TrainerFacts['parameters'];
    /** What it runs on: `cpu` or `cuda:N`. */
    device: string;
    /** Why on this. */
    deviceReason: string;
    /** Whether blocks of the network are computed twice, for memory. */
    recompute: boolean;
    /** Peak memory that the process is foreseen to take, bytes. */
    predictedBytes: number;
    ceiling: TrainerFacts['ceiling'];
    trainingCases: number;
    validationCases: number;
} | {
    type: 'warning';
    step: number;
    code: string;
    message: string;
    case?: string;
} | {
    type: 'fitted';
    step: number;
    steps: number;
    secondsPerStep: number;
} | ({
    type: 'step';
    step: number;
    learningRate: number;
} & Omit<StepReport, 'samples' | 'teacher' | 'warnings'> & {
    /** Factors of the losses' weights by learnt uncertainty; empty without that policy. */
    lossFactors: Record<string, number>;
    /**
     * What was learnt from the teacher: thresholds, shares of accepted voxels, and Dice with the reference where there
     * is one, of background, artery and vein.
     */
    teacher: {
        /** `null` where it was not a finite number. */
        loss: number | null;
        weight: number;
        thresholds: number[];
        accepted: (number | null)[];
        agreement: (number | null)[];
    } | null;
}) | {
    type: 'validation';
    step: number;
    mean: Scores;
    seconds: number;
} | {
    type: 'checkpoint';
    step: number;
    best: boolean;
} | {
    type: 'end';
    step: number;
    reason: EndReason;
};
/** Why a run ended: all steps taken, no better for so many validations (`earlyStop`), time up, or cancelled. */
type EndReason = 'finished' | 'converged' | 'time' | 'cancelled';

/** This process's place among several that train one network, a device each. */
interface Ranks {
    /** From 0; the first has the loop, writes the run and validates. */
    rank: number;
    /** How many there are. */
    count: number;
    /** A name of their run, the same for all of them. */
    run: string;
}

/** What to train on, where to, and for how long. */
interface TrainOptions extends CallOptions {
    /** Data set in nnU-Net's shape. */
    dataset: string;
    /** Run directory; `best` and `latest` in it are model directories, those of `fold-0` … where all folds are trained. */
    out: string;
    /**
     * Which fold of the data set is validated on; `all` trains one after the other into `fold-0`, `fold-1`, … of `out`.
     *
     * @default the config's
     */
    fold?: number | 'all' | undefined;
    /** What differs from a recipe; a run that is resumed has its own, and another one is refused. @default the `tiny` recipe */
    config?: TrainSettings | undefined;
    /** Go on with the run that `out` holds. @default false */
    resume?: boolean | undefined;
    /** Stop, resumably, after this many seconds, whatever is being done. */
    maxSeconds?: number | undefined;
    /** `auto`, `cpu` or `cuda[:N]`; a run may go on on another. @default 'auto' */
    device?: string | undefined;
    /** What the network computes in: `f32`, or `tf32` or `bf16` on a GPU, with weights in f32 all the same. @default 'f32' */
    precision?: Precision | undefined;
    /** Threads to compute with. @default all */
    threads?: number | undefined;
    /** This process's place among several that train this network together, a GPU each. @default it trains alone */
    ranks?: Ranks | undefined;
    /**
     * Most memory a step may take, bytes. Where it would take more, blocks of the network are computed twice instead of
     * kept, which gives the same bits; where that does not help, the run is refused.
     *
     * @default as much as it takes
     */
    maxMemoryBytes?: number | undefined;
    /** Called with every line of the run's log. */
    onEvent?: ((event: TrainEvent) => void) | undefined;
}
/** What a run came to. */
interface TrainResult {
    /** Why it ended. */
    reason: EndReason;
    /** Steps taken in all. */
    step: number;
    /** Last validation; `null` where none was made. */
    validation: Scores | null;
    /** Directory of the best model; `null` where time was up before there was one. The run's own where it has folds. */
    best: string | null;
    /** What each fold came to, where all were trained; those that time was too short for are missing. */
    folds?: TrainResult[];
}

/**
 * Trains a network, or one for each fold of the data set, resumably: killed at any moment it goes on from its last
 * checkpoint to the same weights.
 *
 * @throws ConfigError, FormatError, IoError, ModelError; `signal.reason` when cancelled, after a checkpoint
 */
declare function train(options: TrainOptions): Promise<TrainResult>;

/** What was found in a data set. */
interface Verification {
    /** Cases that were looked at. */
    cases: number;
    /** Whether nothing must be mended: no finding is an `error`. */
    ok: boolean;
    /** What is wrong, or worth knowing: of the whole data set first, then case by case. */
    findings: DatasetFinding[];
}
/**
 * Looks through a data set before anything is learnt from it: lists, files, geometry, values, labels, sides,
 * duplicates. What is wrong with one case is a finding and never stops the others.
 *
 * @param dataset folder with imagesTr, labelsTr and dataset.json
 * @throws IoError, FormatError where the folder or `dataset.json` cannot be read
 * @example
 * const { ok, findings } = await verify('data');
 * if (!ok) console.error(findings.filter(({ severity }) => severity === 'error'));
 */
declare function verify(dataset: string, options?: CallOptions): Promise<Verification>;

/** Options of {@link readVolume}. */
interface ReadOptions extends CallOptions {
    /** Which volume of a file with four or more axes, counted from 0 in file order; such a file needs it. */
    index?: number | undefined;
    /** Which series of DICOM, by its UID or its number in the list of {@link listSeries}. @default the rule's choice */
    series?: SeriesName | undefined;
}
/** Options of {@link writeVolume}. */
interface WriteOptions extends CallOptions {
    /**
     * A NIfTI file whose header a NIfTI keeps byte for byte, but for what must change; or the DICOM that a DICOM
     * segmentation (`.dcm`) refers to, which needs it.
     */
    like?: string | undefined;
    /** Which series of that DICOM, by its UID or its number. @default the rule's choice */
    series?: SeriesName | undefined;
    /**
     * What the values of a label map (unsigned bytes) mean: `.nii`, `.seg.nrrd` and `.dcm` hold it. The file is read back before it gets its
     * name.
     */
    labels?: LabelName[] | undefined;
}
/**
 * Reads a NIfTI-1 or -2 (`.nii`, `.nii.gz`, `.hdr` + `.img`), NRRD or MetaImage file, or a CT from DICOM: a folder, a zip
 * archive or a file.
 *
 * @throws FormatError, GeometryError, IoError, MemoryError
 * @example
 * const ct = await readVolume('chest.nii.gz');
 * console.log(ct.shape, ct.spacingMm);
 */
declare function readVolume(path: string, options?: ReadOptions): Promise<Volume>;
/**
 * Writes a volume with its own data type, by the ending: NIfTI (`.nii`, `.nii.gz`), NRRD (`.nrrd`; `.seg.nrrd`, a
 * segmentation of 3D Slicer), MetaImage (`.mha`) or, of labels, a DICOM segmentation (`.dcm`); an existing file is
 * replaced in one step. The array is copied before the call returns, so it may change or be transferred at once.
 *
 * @throws UsageError, GeometryError, IoError
 */
declare function writeVolume(path: string, volume: Volume, options?: WriteOptions): Promise<void>;

export { ConfigError, DeviceError, FormatError, GeometryError, InternalError, IoError, MemoryError, ModelError, PRESETS, PromptError, PulmoavError, QUALITIES, Segmenter, StrictError, UsageError, anatomy, anatomyToFolder, batch, checkLabels, compare, doctor, encodeText, errorOf, evaluate, evaluateCase, evaluateFolders, evaluationToFolder, exportCheckpoint, findModel, foretellJob, importCheckpoint, importNnunet, info, inspectNnunet, isPulmoavError, labelNames, listModels, listScores, listSeries, phantom, plan, pullModel, readVolume, removeModel, segmentToFile, tidy, train, tree, treeToFolder, understand, unreadable, verify, verifyModel, writeSurface, writeVolume };
export type { Anatomy, AnatomyJob, AnatomyOptions, AnatomyReport, AnatomySeconds, Axes, BatchCase, BatchOptions, BatchReport, BatchRequest, BootstrapOptions, BootstrapSettings, ByTarget, CallOptions, CaseEvaluation, CaseResult, CheckFigure, CheckOptions, CheckPlace, CheckSeconds, Checked, CheckpointVariant, ClassInfo, ClassModelInfo, ClassesInfo, Comparison, DatasetFinding, EncodedText, EndReason, ErrorCode, EvaluateFoldersOptions, EvaluateOptions, Evaluation, EvaluationFiles, EvaluationJob, EvaluationReport, ExportOptions, ExportReport, FailedCase, FileBytes, FileInfo, Fingerprint, Forecast, Health, ImportOptions, ImportReport, InfoOptions, Interval, LabelMap, LabelName, ListedModel, LoadOptions, MeasuredStructure, MeasuredTree, ModelInfo, ModelKind, NnunetImport, NnunetImportOptions, NnunetSource, PeakMemory, PhantomCase, PhantomOptions, PlanOptions, PlanReason, Preset, Progress, PromptTarget, PullOptions, PulledModel, Quality, ReadOptions, Rgb, ScoreComparison, ScoreDescription, ScoreGroup, ScoredCase, Scores, ScoringRule, SegmentForecast, SegmentJob, SegmentMemory, SegmentOptions, SegmentReport, SegmentSeconds, Segmentation, SegmentedTarget, SeriesInfo, SeriesName, SurfaceOptions, SurfacePart, TargetScores, TextModelInfo, TextOptions, Tidied, TidyBridge, TidyChange, TidyCounts, TidyOptions, TidyPieces, TidySeconds, TrainConfig, TrainEvent, TrainOptions, TrainResult, TrainSettings, TrainingPlan, TreeBranch, TreeJob, TreeLoop, TreeOptions, TreeOrder, TreePiece, TreePoint, TreeReport, TreeSeconds, TreeSummary, Understood, UnpairedFile, Verification, VerifiedFile, VesselTrees, Volume, VoxelArray, Warning, Wilcoxon, WriteOptions };
