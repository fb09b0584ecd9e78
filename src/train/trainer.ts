import type { TrainConfig } from '../config/train.js';
import type { CaseScores, StepReport, StepSettings, TrainerFacts, TrainerSetup } from '../native/binding.js';
import { addon } from '../native/load.js';
import { unwrap } from '../native/unwrap.js';
import { call } from '../progress.js';
import type { CallOptions } from '../types.js';

export type { StepReport, TrainerFacts };

/** What a trainer is opened with: as the addon takes it, but for the step's config, which is JSON there. */
export type OpenOptions = Omit<TrainerSetup, 'step'> & { step: TrainConfig['step'] };

/** The native side of a training run: the state lives there, the loop here. */
export class Trainer {
  readonly facts: TrainerFacts;
  readonly #handle: number;

  private constructor(handle: number, facts: TrainerFacts) {
    this.#handle = handle;
    this.facts = facts;
  }

  /** Reads and prepares the data set (or finds it prepared) and builds the network, new or from a checkpoint. */
  static async open(setup: OpenOptions, options: CallOptions): Promise<Trainer> {
    const { handle, facts } = await call(options, (monitor) =>
      addon().openTrainer({ ...setup, step: JSON.stringify(setup.step) }, monitor),
    );
    return new Trainer(handle, facts);
  }

  /** Takes step number `step`. */
  async step(step: number, settings: StepSettings): Promise<StepReport> {
    return await call({}, () => addon().trainStep(this.#handle, step, settings));
  }

  /** What several trainers join by, made by the first for all. */
  identity(): Uint8Array {
    return unwrap(addon().ranksIdentity());
  }

  /** Waits for all trainers of an identity; from then on every step is theirs together. */
  async join(identity: Uint8Array, rank: number, count: number): Promise<void> {
    await call({}, () => addon().joinTrainer(this.#handle, identity, rank, count));
  }

  /** Takes the step that the first trainer orders; `null` once it has left. */
  async follow(): Promise<StepReport | null> {
    return await call({}, () => addon().followTrainer(this.#handle));
  }

  /** Tells the other trainers that no further step comes. */
  async leave(): Promise<void> {
    await call({}, () => addon().leaveTrainer(this.#handle));
  }

  /** Segments and scores the first `cases` validation cases with the moving average (EMA) of the weights. */
  async validate(cases: number, options: CallOptions): Promise<CaseScores[]> {
    return await call(options, (monitor) => addon().validateTrainer(this.#handle, cases, monitor));
  }

  /** Writes a model directory with the training state beside. */
  async save(directory: string): Promise<void> {
    await call({}, () => addon().saveTrainer(this.#handle, directory));
  }

  close(): void {
    addon().closeTrainer(this.#handle);
  }
}
