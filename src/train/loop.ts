import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defaultThreads } from '../check.js';
import type { TrainSettings } from '../config/train.js';
import { checkDataset } from '../dataset.js';
import { ConfigError, IoError } from '../errors.js';
import { checkManifest } from '../models/manifest.js';
import { findModel } from '../models.js';
import { type ChosenDevice, checkPrecision, chooseDevice, type Precision } from '../native/device.js';
import type { Place } from '../networks/network.js';
import { planMemory } from '../networks/step-memory.js';
import type { Scores } from '../scores.js';
import type { CallOptions } from '../types.js';
import { type Adaptation, adapt, observe } from './adapt.js';
import { findCheckpoint, keep, readAdaptState, saveAdaptState, sealCheckpoint } from './checkpoints.js';
import { type EndReason, EventLog, type TrainEvent } from './events.js';
import { Pace } from './pace.js';
import { completePlan } from './plan.js';
import { firstIsReady, joinRanks, type Ranks } from './ranks.js';
import { openRecords, refreshRecords } from './records.js';
import { checkTrainConfig, keepCases, openRun, type RunFile } from './run.js';
import { learningRate } from './schedule.js';
import { type StepReport, Trainer, type TrainerFacts } from './trainer.js';
import { type Save, Validation } from './validation.js';

/** What to train on, where to, and for how long. */
export interface TrainOptions extends CallOptions {
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

/** Of one network. */
export interface FoldOptions extends TrainOptions {
  fold?: number | undefined;
}

/** What a run came to. */
export interface TrainResult {
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

/** So many steps in a row without a finite gradient end a run: it has diverged. */
const MAX_UNAPPLIED = 5;
const cure = { hint: 'Go on from the last checkpoint with a smaller schedule.learningRate in run.json' };

/**
 * Trains one network, resumably: killed at any moment it goes on from its last checkpoint to the same weights.
 *
 * @param shared folder of prepared cases and text tensors, which folds have in common
 */
export async function trainFold(options: FoldOptions, shared = options.out): Promise<TrainResult> {
  const started = performance.now();
  const { out, resume = false, threads = defaultThreads() } = options;
  const { maxMemoryBytes } = options;
  if (!existsSync(join(options.dataset, 'dataset.json'))) {
    throw new IoError('ERR_IO', `"${options.dataset}" is not a data set: it has no dataset.json.`);
  }
  const device = await chooseDevice(options.device, options.signal);
  const { precision = 'f32', ranks } = options;
  checkPrecision(precision, device.name);
  const place = { device: device.name, precision, threads };
  if (ranks !== undefined && ranks.rank > 0) return await follow(place, options, ranks, shared);
  // Refused before the folder holds a run, and before a text tower learns for minutes.
  if (!resume || !existsSync(join(out, 'run.json'))) {
    const config = checkTrainConfig(options.config ?? {});
    planMemory(config, maxMemoryBytes);
    await checkDataset(options.dataset, options.fold ?? config.fold, options);
  }
  const run = await openRun(out, options.config, { resume, fold: options.fold });
  const log = new EventLog(out, options.onEvent);
  const limit = timeLimit(options.maxSeconds);
  const signal = options.signal && limit ? AbortSignal.any([options.signal, limit]) : (options.signal ?? limit);
  let trainer: Trainer;
  try {
    trainer = await openTrainer(run, place, { ...options, signal }, shared);
  } catch (error) {
    if (!limit?.aborted || options.signal?.aborted || error !== limit.reason) throw error;
    return { reason: 'time', step: log.stepsTaken(), validation: null, best: modelOf(out) };
  }
  try {
    const { trainingCases: training, validationCases: validation } = trainer.facts;
    await keepCases(out, run, { training, validation });
    await openRecords(out, log, trainer.facts.step);
    if (ranks) await joinRanks(trainer, ranks, out);
    return await loop(trainer, { run, log, options, device, started, limit, signal });
  } finally {
    trainer.close();
  }
}

/** Takes the steps that the first rank orders; what the run keeps is that one's. */
async function follow(place: Place, options: FoldOptions, ranks: Ranks, shared: string): Promise<TrainResult> {
  const { out, fold, signal } = options;
  await firstIsReady(out, ranks, signal);
  const run = await openRun(out, undefined, { resume: true, fold });
  const trainer = await openTrainer(run, place, options, shared);
  try {
    await joinRanks(trainer, ranks, out);
    let step = trainer.facts.step;
    while ((await trainer.follow()) !== null) step += 1;
    return { reason: 'finished', step, validation: null, best: modelOf(out) };
  } finally {
    trainer.close();
  }
}

/** A signal that aborts when the time is up. */
function timeLimit(seconds: number | undefined): AbortSignal | undefined {
  // Node's timers end at 2³¹ ms.
  return seconds === undefined
    ? undefined
    : AbortSignal.timeout(Math.min(Math.max(1, Math.round(seconds * 1000)), 2 ** 31 - 1));
}

async function openTrainer(run: RunFile, place: Place, options: FoldOptions, shared: string): Promise<Trainer> {
  const { out, dataset } = options;
  const { config } = run;
  const { recompute } = planMemory(config, options.maxMemoryBytes);
  const completed = await completePlan(config, join(shared, 'text.safetensors'), place.device, options);
  const setup = {
    ...completed,
    step: config.step,
    dataset,
    fold: config.fold,
    init: config.init === null ? null : findModel(config.init),
    cache: join(shared, 'cache'),
    ...place,
    recompute,
  };
  await findCheckpoint(out, 'best');
  const resume = (await findCheckpoint(out, 'latest')) ?? null;
  if (resume !== null) await checkManifest(resume);
  return Trainer.open({ ...setup, resume }, options);
}

/** The best model of a run so far, or the latest where none was validated. */
export function modelOf(out: string): string | null {
  return ['best', 'latest'].map((kept) => join(out, kept)).find((model) => existsSync(model)) ?? null;
}

interface RunContext {
  run: RunFile;
  log: EventLog;
  options: TrainOptions;
  device: ChosenDevice;
  started: number;
  /** Aborts when the time is up. */
  limit: AbortSignal | undefined;
  /** Aborts then, and when the caller says so. */
  signal: AbortSignal | undefined;
}

async function loop(trainer: Trainer, context: RunContext): Promise<TrainResult> {
  const { run, log, options, device, started, signal } = context;
  const { config } = run;
  const elapsed = () => (performance.now() - started) / 1000;
  const end = () => run.steps ?? Number.POSITIVE_INFINITY;
  let policies = await readAdaptState(options.out, trainer.facts);
  let step = trainer.facts.step;
  const save: Save = async (directory, more) => {
    await trainer.save(directory);
    await saveAdaptState(directory, policies);
    await more?.(directory);
    await sealCheckpoint(directory, step, config);
  };
  const checkpoint = async () => {
    await keep(options.out, 'latest', save);
    log.write({ type: 'checkpoint', step, best: false });
    await refreshRecords(options.out, run.steps);
  };
  const { validateCases: cases, earlyStop } = config;
  const patience = earlyStop.validations;
  const validation = new Validation(trainer, { out: options.out, cases, patience, log, save });
  const pace = new Pace(run, options.out, log);
  let saved = elapsed();
  let reason: EndReason = 'finished';
  let unapplied = 0;
  const validated = async (): Promise<EndReason> => {
    if (!(await inTime(context, () => validation.take(step, { ...options, signal })))) return 'time';
    return validation.converged ? 'converged' : 'finished';
  };
  const event = (warning: { code: string; message: string; case?: string }) =>
    ({ type: 'warning', step, ...warning }) as const;
  const warnings = [...device.warnings, ...warningsOf(trainer.facts)].map(event);
  log.write(startEvent(trainer, run, device, options.maxMemoryBytes), ...warnings);
  // A kill may have come between a checkpoint and the validation that was due.
  if (isDue(config.validateEvery, step) && step < end()) reason = await validated();
  while (step < end() && reason === 'finished') {
    const rate = learningRate(config.schedule, step, end());
    const wanted = adapt(config, policies, step, end());
    const report = await trainer.step(step, { learningRate: rate, ...wanted });
    policies = observe(config, policies, wanted, report);
    log.write(stepEvent(step, rate, wanted, report), ...report.warnings.map(event));
    step += 1;
    await pace.measure(step, report.seconds, elapsed());
    unapplied = report.applied ? 0 : unapplied + 1;
    if (unapplied === MAX_UNAPPLIED) {
      // None of them was applied, so what is kept is the last finite state.
      await checkpoint();
      throw new ConfigError(`${unapplied} steps in a row gave no finite gradient.`, cure);
    }
    options.onProgress?.({ stage: 'training', done: step, total: run.steps ?? 0 });
    if (options.signal?.aborted) reason = 'cancelled';
    else if (elapsed() > (options.maxSeconds ?? Number.POSITIVE_INFINITY)) reason = 'time';
    if (reason !== 'finished') break;
    const validate = isDue(config.validateEvery, step) && step < end();
    // Before a validation too: what cancels it must find the steps kept.
    if (validate || elapsed() - saved >= config.checkpointSeconds) {
      await checkpoint();
      saved = elapsed();
    }
    if (validate) reason = await validated();
  }
  if (options.ranks) await trainer.leave();
  await checkpoint();
  if (reason === 'finished' && (await validated()) === 'time') reason = 'time';
  log.write({ type: 'end', step, reason });
  await refreshRecords(options.out, run.steps);
  if (reason === 'cancelled') options.signal?.throwIfAborted();
  return { reason, step, validation: validation.last, best: modelOf(options.out) };
}

/** False where the time was up first; what is validated is made again when the run goes on. */
async function inTime({ limit, options }: RunContext, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!limit?.aborted || options.signal?.aborted || error !== limit.reason) throw error;
    return false;
  }
}

function isDue(every: number, step: number): boolean {
  return step > 0 && every > 0 && step % every === 0;
}

/** A line of the log; a case's patches are told by the policies, not one by one. */
function stepEvent(step: number, learningRate: number, wanted: Adaptation, report: StepReport): TrainEvent {
  const { samples: _, warnings: _told, teacher, ...told } = report;
  const { weight, thresholds } = wanted.teacher ?? { weight: 0, thresholds: null };
  const share = (part: number, whole: number) => (whole > 0 ? part / whole : null);
  return {
    type: 'step',
    step,
    learningRate,
    ...told,
    lossFactors: wanted.lossFactors,
    teacher: teacher && {
      loss: teacher.loss,
      weight,
      thresholds: thresholds ?? [],
      accepted: teacher.verdicts.map(({ voxels, accepted }) => share(accepted, voxels)),
      agreement: teacher.verdicts.map(({ referenced, predicted, agreed }) => share(2 * agreed, referenced + predicted)),
    },
  };
}

function startEvent(
  { facts }: Trainer,
  { steps, config }: RunFile,
  device: ChosenDevice,
  maxMemoryBytes: number | undefined,
): TrainEvent {
  const { step, parameters, ceiling, trainingCases, validationCases } = facts;
  return {
    type: 'start',
    step,
    steps,
    fold: config.fold,
    parameters,
    device: device.name,
    deviceReason: device.reason,
    ...planMemory(config, maxMemoryBytes),
    ceiling,
    trainingCases: trainingCases.length,
    validationCases: validationCases.length,
  };
}

/** What a user should know of the data set. */
function warningsOf({ trainingCases, validationCases, warnings, fresh }: TrainerFacts) {
  const partial = {
    code: 'INIT_PARTIAL',
    message: `the model to begin with lacks ${fresh.length} tensors of this network, or has them in another shape, so they begin anew: ${fresh.slice(0, 5).join(', ')}${fresh.length > 5 ? ', …' : ''}`,
  };
  const few = {
    code: 'NO_VALIDATION',
    message: `none of the ${trainingCases.length} cases is left to validate on, so "best" is never made; name some in splits_final.json`,
  };
  return [...warnings, ...(fresh.length > 0 ? [partial] : []), ...(validationCases.length === 0 ? [few] : [])];
}
