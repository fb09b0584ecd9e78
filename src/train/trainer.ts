import type { TrainConfig } from '../config/train.js';
import { addon } from '../native/load.js';
import { call } from '../progress.js';
import type { Scores } from '../scores.js';
import type { CallOptions } from '../types.js';
import type { Adaptation } from './adapt.js';

/** What a native trainer is opened with. */
export interface TrainerSetup {
  /** The complete plan. */
  plan: object;
  /** What stays fixed over the run. */
  step: TrainConfig['step'];
  /** The data set's folder. */
  dataset: string;
  /** Which fold of it is validated on. */
  fold: number;
  /** Where prepared cases are kept. */
  cache: string;
  /** File of text tensors that travel with the weights, if any do. */
  text: string | null;
  /** Checkpoint to go on from. */
  resume: string | null;
  /** Threads to compute with. */
  threads: number;
}

/** What an opened trainer says of itself. */
export interface TrainerFacts {
  /** The next step to take. */
  step: number;
  /** Trainable numbers. */
  parameters: number;
  trainingCases: string[];
  validationCases: string[];
  /** Best Dice that label maps keep through the plan's grid and back, by class. */
  ceiling: Record<string, number>;
  /** What the cases learnt from gave cause to say. */
  warnings: { case: string; code: string; message: string }[];
}

/** What one step came to. */
export interface StepReport {
  /** `null` where it was not a finite number. */
  loss: number | null;
  gradNorm: number;
  seconds: number;
  /** False where the gradient was not finite and the weights were left alone. */
  applied: boolean;
  /** Loss of each target at the finest scale. */
  targets: Record<string, number>;
  /** Each loss at the finest scale before its weight, by the name of the weight. */
  terms: Record<string, number>;
  /** The patches of the batch: their case, the calibre they were drawn for, and how well they are known. */
  samples: { case: number; calibre: number | null; loss: number | null }[];
  /** What was learnt from the teacher; `null` where it took no part. */
  teacher: { loss: number; verdicts: { voxels: number; accepted: number; confidence: number }[] } | null;
}

/** What may change from step to step. */
export interface StepSettings extends Adaptation {
  learningRate: number;
}

/** The native side of a training run: the state lives there, the loop here. */
export class Trainer {
  readonly facts: TrainerFacts;
  readonly #handle: number;

  private constructor(handle: number, facts: TrainerFacts) {
    this.#handle = handle;
    this.facts = facts;
  }

  /** Reads and prepares the data set (or finds it prepared) and builds the network, new or from a checkpoint. */
  static async open(setup: TrainerSetup, options: CallOptions): Promise<Trainer> {
    const { value } = await call<TrainerFacts & { handle: number }>(options, (monitor) =>
      addon().openTrainer(JSON.stringify(setup), monitor),
    );
    const { handle, ...facts } = value;
    return new Trainer(handle, facts);
  }

  /** Takes step number `step`. */
  async step(step: number, settings: StepSettings): Promise<StepReport> {
    const { value } = await call<StepReport>({}, () => addon().trainStep(this.#handle, step, JSON.stringify(settings)));
    return value;
  }

  /** Segments and scores the first `cases` validation cases with the moving average (EMA) of the weights. */
  async validate(cases: number, options: CallOptions): Promise<{ name: string; scores: Scores }[]> {
    const { value } = await call<{ cases: { name: string; scores: Scores }[] }>(options, (monitor) =>
      addon().validateTrainer(this.#handle, cases, monitor),
    );
    return value.cases;
  }

  /** Writes a model directory with the training state beside. */
  async save(directory: string): Promise<void> {
    await call({}, () => addon().saveTrainer(this.#handle, directory));
  }

  close(): void {
    addon().closeTrainer(this.#handle);
  }
}
