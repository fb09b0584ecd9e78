import type { TrainConfig } from '../config/train.js';
import type { SamplingWeights, StepReport, StepSettings, Verdict } from '../native/binding.js';

/** Background, artery, vein. */
export type ByClass = [background: number, artery: number, vein: number];

/** What the policies remember of a run; it travels with each checkpoint. */
export interface AdaptState {
  /** Running mean of the teacher's confidence, by class. */
  confidence: ByClass;
  /** How far the teacher agrees with the reference: running sums of voxels, by class. */
  agreement: { agreed: ByClass; given: ByClass };
  /** Logarithm of each loss's learnt variance, by the name of its weight. */
  logVariances: Record<string, number>;
  /** Running loss of each training case; `null` until it was drawn. */
  caseLosses: (number | null)[];
  /** Running loss of patches drawn for small, medium and large vessels; `null` until one was drawn. */
  calibreLosses: (number | null)[];
  /** What the next step's patches are drawn by: they are made while the step before runs. */
  sampling: SamplingWeights;
}

/** What the policies want of a step. */
export type Adaptation = Omit<StepSettings, 'learningRate'>;

/** What the policies look at in a step's report. */
export type Observation = Pick<StepReport, 'terms' | 'samples'> & {
  teacher: { verdicts: Omit<Verdict, 'accepted'>[] } | null;
};

const CALIBRES = 3;
/** A teacher that has seen nothing is as sure as a guess among three classes. */
const UNSURE = 1 / 3;
/** Weights below this are not worth a forward pass. */
const MIN_TEACHER_WEIGHT = 0.01;
/** The teacher is never believed below this. */
const MIN_THRESHOLD = 0.5;
/** Factors of losses stay within e to the power of ± this. */
const MAX_LOG_VARIANCE = 5;
const alike: SamplingWeights = { cases: [], calibres: [] };

/** What the policies remember before the first step. */
export function startAdapting(cases: number): AdaptState {
  return {
    confidence: [UNSURE, UNSURE, UNSURE],
    agreement: { agreed: [0, 0, 0], given: [0, 0, 0] },
    logVariances: {},
    caseLosses: Array<null>(cases).fill(null),
    calibreLosses: Array<null>(CALIBRES).fill(null),
    sampling: alike,
  };
}

/**
 * What the policies want of step number `step` (from 0) of `steps`: a pure function of what was seen before.
 *
 * @param config of the run
 */
export function adapt(config: TrainConfig, state: AdaptState, step: number, steps: number): Adaptation {
  return {
    lossFactors: lossFactors(config, state),
    teacher: teacher(config, state, step, steps),
    sampling: state.sampling,
    nextSampling: samplingWeights(config, state),
  };
}

/** What the policies remember after a step that was taken with `wanted`. */
export function observe(
  config: TrainConfig,
  state: AdaptState,
  wanted: Adaptation,
  { terms, samples, teacher }: Observation,
): AdaptState {
  const { momentum } = config.adapt.sampling;
  const caseLosses = [...state.caseLosses];
  const calibreLosses = [...state.calibreLosses];
  for (const { case: index, calibre, loss } of samples) {
    if (loss === null) continue;
    caseLosses[index] = running(caseLosses[index] ?? loss, loss, momentum);
    if (calibre !== null) calibreLosses[calibre] = running(calibreLosses[calibre] ?? loss, loss, momentum);
  }
  return {
    confidence: teacher ? confidenceAfter(config, state.confidence, teacher.verdicts) : state.confidence,
    agreement: teacher ? agreementAfter(config, state.agreement, teacher.verdicts) : state.agreement,
    logVariances: logVariancesAfter(config, state.logVariances, terms),
    caseLosses,
    calibreLosses,
    sampling: wanted.nextSampling,
  };
}

/**
 * The teacher's weight is ramped up, exp(−5 (1 − t)²) with t from 0 to 1 over the first `rampShare` of the steps
 * (Tarvainen and Valpola, NeurIPS 2017), and stays at its least while there is a class in which the teacher disagrees
 * with the reference: what it leaves out it would teach to be nothing (docs/learning-from-few-labels.md). Thresholds
 * follow its own running confidence: the mean over the classes times the class's share of the most confident one (Wang
 * et al., "FreeMatch", ICLR 2023).
 */
function teacher({ step: { unannotated }, adapt }: TrainConfig, state: AdaptState, step: number, steps: number) {
  if (unannotated !== 'teacher') return null;
  const { weight: most, rampShare, trust } = adapt.teacher;
  const along = Math.min(1, step / Math.max(1, rampShare * steps));
  const ramped = most * Math.exp(-5 * (1 - along) ** 2);
  if (ramped < MIN_TEACHER_WEIGHT) return null;
  const { confidence } = state;
  const weight = Math.max(MIN_TEACHER_WEIGHT, ramped * trusted(state.agreement, trust));
  const mean = confidence.reduce((sum, sure) => sum + sure, 0) / confidence.length;
  const surest = Math.max(...confidence);
  const thresholds = confidence.map((sure) => Math.max(MIN_THRESHOLD, (mean * sure) / surest)) as ByClass;
  return { weight, thresholds };
}

/** 0 to 1 by the Dice of the class in which teacher and reference agree least, of those either has given. */
function trusted({ agreed, given }: AdaptState['agreement'], [from, full]: readonly [number, number]): number {
  const dice = given.flatMap((voxels, index) => (voxels > 0 ? [(2 * (agreed[index] ?? 0)) / voxels] : []));
  if (dice.length === 0) return 0;
  return Math.min(1, Math.max(0, (Math.min(...dice) - from) / (full - from)));
}

/** Sums that forget: with momentum m a step's voxels count by mⁿ after n more. */
function agreementAfter(
  { adapt: { teacher } }: TrainConfig,
  { agreed, given }: AdaptState['agreement'],
  verdicts: Pick<Verdict, 'referenced' | 'predicted' | 'agreed'>[],
): AdaptState['agreement'] {
  const added = (before: ByClass, of: (verdict: (typeof verdicts)[number]) => number) =>
    before.map((sum, index) => {
      const verdict = verdicts[index];
      return teacher.momentum * sum + (verdict ? of(verdict) : 0);
    }) as ByClass;
  return {
    agreed: added(agreed, (verdict) => verdict.agreed),
    given: added(given, ({ referenced, predicted }) => referenced + predicted),
  };
}

function confidenceAfter(
  { adapt }: TrainConfig,
  confidence: ByClass,
  verdicts: { voxels: number; confidence: number }[],
): ByClass {
  return confidence.map((before, index) => {
    const { voxels = 0, confidence: sum = 0 } = verdicts[index] ?? {};
    return voxels === 0 ? before : running(before, sum / voxels, adapt.teacher.momentum);
  }) as ByClass;
}

/**
 * With learnt variances v = eˢ the losses add up to Σ ½ L / v + ½ s (Kendall et al., CVPR 2018), so a loss counts by
 * 1 / v. The factors are scaled to a mean of 1, which leaves the learning rate its meaning.
 */
function lossFactors({ adapt }: TrainConfig, { logVariances }: AdaptState): Record<string, number> {
  const names = Object.keys(logVariances);
  if (!adapt.uncertainty.enabled || names.length === 0) return {};
  const counts = names.map((name) => Math.exp(-(logVariances[name] ?? 0)));
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return Object.fromEntries(names.map((name, index) => [name, (counts[index] ?? mean) / mean]));
}

/** One step down the slope of s, ½ − ½ L e⁻ˢ, for each loss. */
function logVariancesAfter({ adapt }: TrainConfig, before: Record<string, number>, terms: Observation['terms']) {
  if (!adapt.uncertainty.enabled) return before;
  const after = Object.entries(terms).flatMap(([name, loss]) => {
    if (loss === null) return [];
    const s = before[name] ?? 0;
    const moved = s - adapt.uncertainty.rate * (0.5 - 0.5 * loss * Math.exp(-s));
    return [[name, Math.min(MAX_LOG_VARIANCE, Math.max(-MAX_LOG_VARIANCE, moved))] as const];
  });
  return { ...before, ...Object.fromEntries(after) };
}

function samplingWeights({ adapt }: TrainConfig, { caseLosses, calibreLosses }: AdaptState): SamplingWeights {
  const { enabled, gamma, floor } = adapt.sampling;
  if (!enabled) return alike;
  return { cases: byLoss(caseLosses, gamma, floor), calibres: byLoss(calibreLosses, gamma, floor) };
}

/** (loss / mean loss)^gamma, at least `floor`; 1 for what has no loss yet. */
function byLoss(losses: (number | null)[], gamma: number, floor: number): number[] {
  const known = losses.filter((loss) => loss !== null);
  const mean = known.reduce((sum, loss) => sum + loss, 0) / known.length;
  return losses.map((loss) => (loss === null || !(mean > 0) ? 1 : Math.max(floor, (loss / mean) ** gamma)));
}

function running(before: number, now: number, momentum: number): number {
  return momentum * before + (1 - momentum) * now;
}
