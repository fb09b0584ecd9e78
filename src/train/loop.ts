import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkInteger, checkPath, defaultThreads, MAX_THREADS } from '../check.js';
import type { TrainSettings } from '../config/train.js';
import { ConfigError, IoError } from '../errors.js';
import { findModel } from '../models.js';
import type { Scores } from '../scores.js';
import type { CallOptions } from '../types.js';
import { type Adaptation, adapt, observe } from './adapt.js';
import { findCheckpoint, keep, readAdaptState, saveAdaptState } from './checkpoints.js';
import { type EndReason, EventLog, type TrainEvent } from './events.js';
import { Pace } from './pace.js';
import { completePlan } from './plan.js';
import { keepCases, openRun, type RunFile } from './run.js';
import { learningRate } from './schedule.js';
import { type StepReport, Trainer, type TrainerFacts } from './trainer.js';
import { Validation } from './validation.js';

/** What to train on, where to, and for how long. */
export interface TrainOptions extends CallOptions {
  /** Data set in nnU-Net's shape. */
  dataset: string;
  /** Run directory; `best` and `latest` in it are model directories. */
  out: string;
  /** What differs from a recipe; a run that is resumed has its own, and another one is refused. @default the `tiny` recipe */
  config?: TrainSettings | undefined;
  /** Go on with the run that `out` holds. @default false */
  resume?: boolean | undefined;
  /** Stop, resumably, after this many seconds, whatever is being done. */
  maxSeconds?: number | undefined;
  /** Threads to compute with. @default all */
  threads?: number | undefined;
  /** Called with every line of the run's log. */
  onEvent?: ((event: TrainEvent) => void) | undefined;
}

/** What a run came to. */
export interface TrainResult {
  /** Why it ended. */
  reason: EndReason;
  /** Steps taken in all. */
  step: number;
  /** Last validation; `null` where none was made. */
  validation: Scores | null;
  /** Directory of the best model; `null` where time was up before there was one. */
  best: string | null;
}

/** So many steps in a row without a finite gradient end a run: it has diverged. */
const MAX_UNAPPLIED = 5;
const cure = { hint: 'Go on from the last checkpoint with a smaller schedule.learningRate in run.json' };

/**
 * Trains a network, resumably: killed at any moment it goes on from its last checkpoint to the same weights.
 *
 * @throws ConfigError, FormatError, IoError, ModelError; `signal.reason` when cancelled, after a checkpoint
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  checkPath('dataset', options.dataset);
  checkPath('out', options.out);
  const started = performance.now();
  const { out, resume = false, threads = defaultThreads() } = options;
  checkInteger('threads', threads, 1, MAX_THREADS);
  if (!existsSync(join(options.dataset, 'dataset.json'))) {
    throw new IoError('ERR_IO', `"${options.dataset}" is not a data set: it has no dataset.json.`);
  }
  const run = await openRun(out, options.config, resume);
  const log = new EventLog(out, options.onEvent);
  const limit = timeLimit(options.maxSeconds);
  const signal = options.signal && limit ? AbortSignal.any([options.signal, limit]) : (options.signal ?? limit);
  let trainer: Trainer;
  try {
    trainer = await openTrainer(run, threads, { ...options, signal });
  } catch (error) {
    if (!limit?.aborted || options.signal?.aborted || error !== limit.reason) throw error;
    return { reason: 'time', step: log.stepsTaken(), validation: null, best: modelOf(out) };
  }
  try {
    const { trainingCases: training, validationCases: validation } = trainer.facts;
    await keepCases(out, run, { training, validation });
    await log.cutBack(trainer.facts.step);
    return await loop(trainer, { run, log, options, started, limit, signal });
  } finally {
    trainer.close();
  }
}

/** A signal that aborts when the time is up. */
function timeLimit(seconds: number | undefined): AbortSignal | undefined {
  // Node's timers end at 2³¹ ms.
  return seconds === undefined ? undefined : AbortSignal.timeout(Math.min(Math.max(1, seconds * 1000), 2 ** 31 - 1));
}

async function openTrainer(run: RunFile, threads: number, options: TrainOptions): Promise<Trainer> {
  const { out, dataset } = options;
  const completed = await completePlan(run.config, join(out, 'text.safetensors'), options);
  const setup = {
    ...completed,
    step: run.config.step,
    dataset,
    fold: run.config.fold,
    init: run.config.init === null ? null : findModel(run.config.init),
    cache: join(out, 'cache'),
    threads,
  };
  await findCheckpoint(out, 'best');
  return Trainer.open({ ...setup, resume: (await findCheckpoint(out, 'latest')) ?? null }, options);
}

/** The best model of a run so far, or the latest where none was validated. */
function modelOf(out: string): string | null {
  return ['best', 'latest'].map((kept) => join(out, kept)).find((model) => existsSync(model)) ?? null;
}

interface RunContext {
  run: RunFile;
  log: EventLog;
  options: TrainOptions;
  started: number;
  /** Aborts when the time is up. */
  limit: AbortSignal | undefined;
  /** Aborts then, and when the caller says so. */
  signal: AbortSignal | undefined;
}

async function loop(trainer: Trainer, context: RunContext): Promise<TrainResult> {
  const { run, log, options, started, limit, signal } = context;
  const { config } = run;
  const elapsed = () => (performance.now() - started) / 1000;
  const end = () => run.steps ?? Number.POSITIVE_INFINITY;
  let policies = await readAdaptState(options.out, trainer.facts);
  const save = async (directory: string) => {
    await trainer.save(directory);
    await saveAdaptState(directory, policies);
  };
  const validation = new Validation(trainer, { out: options.out, cases: config.validateCases, log, save });
  const pace = new Pace(run, options.out, log);
  let step = trainer.facts.step;
  let saved = elapsed();
  let reason: EndReason = 'finished';
  let unapplied = 0;
  /** False where the time was up first; what is validated is made again when the run goes on. */
  const validatedInTime = async (step: number): Promise<boolean> => {
    try {
      await validation.take(step, { ...options, signal });
      return true;
    } catch (error) {
      if (!limit?.aborted || options.signal?.aborted || error !== limit.reason) throw error;
      return false;
    }
  };
  log.write(startEvent(trainer, run));
  for (const warning of warningsOf(trainer.facts)) log.write({ type: 'warning', step, ...warning });
  while (step < end()) {
    const rate = learningRate(config.schedule, step, end());
    const wanted = adapt(config, policies, step, end());
    const report = await trainer.step(step, { learningRate: rate, ...wanted });
    policies = observe(config, policies, wanted, report);
    log.write(stepEvent(step, rate, wanted, report));
    step += 1;
    await pace.measure(step, report.seconds, elapsed());
    unapplied = report.applied ? 0 : unapplied + 1;
    if (unapplied === MAX_UNAPPLIED) {
      // None of them was applied, so what is kept is the last finite state.
      await checkpoint(save, options.out, log, step);
      throw new ConfigError(`${unapplied} steps in a row gave no finite gradient.`, cure);
    }
    options.onProgress?.({ stage: 'training', done: step, total: run.steps ?? 0 });
    if (options.signal?.aborted) reason = 'cancelled';
    else if (elapsed() > (options.maxSeconds ?? Number.POSITIVE_INFINITY)) reason = 'time';
    if (reason !== 'finished') break;
    const validate = isDue(config.validateEvery, step) && step < end();
    // Before a validation too: what cancels it must find the steps kept.
    if (validate || elapsed() - saved >= config.checkpointSeconds) {
      await checkpoint(save, options.out, log, step);
      saved = elapsed();
    }
    if (validate && !(await validatedInTime(step))) {
      reason = 'time';
      break;
    }
  }
  await checkpoint(save, options.out, log, step);
  if (reason === 'finished' && !(await validatedInTime(step))) reason = 'time';
  log.write({ type: 'end', step, reason });
  if (reason === 'cancelled') options.signal?.throwIfAborted();
  return { reason, step, validation: validation.last, best: modelOf(options.out) };
}

function isDue(every: number, step: number): boolean {
  return every > 0 && step % every === 0;
}

/** A line of the log; a case's patches are told by the policies, not one by one. */
function stepEvent(step: number, learningRate: number, wanted: Adaptation, report: StepReport): TrainEvent {
  const { samples: _, teacher, ...told } = report;
  const { weight, thresholds } = wanted.teacher ?? { weight: 0, thresholds: null };
  const accepted = teacher?.verdicts.map(({ voxels, accepted }) => (voxels > 0 ? accepted / voxels : null));
  return {
    type: 'step',
    step,
    learningRate,
    ...told,
    lossFactors: wanted.lossFactors,
    teacher: teacher && { loss: teacher.loss, weight, thresholds: thresholds ?? [], accepted: accepted ?? [] },
  };
}

function startEvent({ facts }: Trainer, { steps }: RunFile): TrainEvent {
  const { step, parameters, ceiling, trainingCases, validationCases } = facts;
  return {
    type: 'start',
    step,
    steps,
    parameters,
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

type Save = (directory: string) => Promise<void>;

async function checkpoint(save: Save, out: string, log: EventLog, step: number): Promise<void> {
  await keep(out, 'latest', save);
  log.write({ type: 'checkpoint', step, best: false });
}
