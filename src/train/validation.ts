import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../errors.js';
import { readJson, writeAtomic } from '../files.js';
import { meanScores, type Scores } from '../scores.js';
import type { CallOptions } from '../types.js';
import { keep } from './checkpoints.js';
import type { EventLog, TrainEvent } from './events.js';
import type { Trainer } from './trainer.js';
import { drawValidation } from './validation-picture.js';

interface Setting {
  out: string;
  cases: number;
  /** So many validations in a row without a new best Dice are enough; `null`: never. */
  patience: number | null;
  log: EventLog;
  save: Save;
}

/** Writes a model directory with the run's whole state, and what `more` writes into it. */
export type Save = (directory: string, more?: (directory: string) => Promise<void>) => Promise<void>;

/** Scores a run now and then, and keeps its best model. */
export class Validation {
  /** Mean scores of the last validation. */
  last: Scores | null;
  readonly #trainer: Trainer;
  readonly #setting: Setting;

  constructor(trainer: Trainer, setting: Setting) {
    this.#trainer = trainer;
    this.#setting = setting;
    this.last = setting.log.lastValidation();
  }

  /**
   * Validates after `step` steps, unless that was done before the run was stopped; the model that scores best so far
   * becomes `RUN/best`.
   */
  async take(step: number, options: CallOptions): Promise<void> {
    const { out, cases, log } = this.#setting;
    if (this.#trainer.facts.validationCases.length === 0 || log.lastValidation(step) !== null) return;
    const started = performance.now();
    const scored = await this.#trainer.validate(cases, { signal: options.signal });
    const mean = meanScores(scored.map(({ scores }) => scores));
    this.last = mean;
    const made: TrainEvent = { type: 'validation', step, mean, seconds: (performance.now() - started) / 1000 };
    await drawValidation(out, step, scored);
    const dice = meanDice(mean);
    const best = dice >= (await bestSoFar(out));
    if (best) {
      const content = `${JSON.stringify({ step, dice, mean }, null, 2)}\n`;
      const note = (directory: string) => writeAtomic(join(directory, 'validation.json'), content);
      await keep(out, 'best', (directory) => this.#setting.save(directory, note));
    }
    // Last: a validation that is written down was made whole, and a resumed run need not make it again.
    log.write(made, ...(best ? [{ type: 'checkpoint', step, best } as const] : []));
  }

  /** Whether the best Dice has stood for long enough, by what is written down: a resumed run knows it too. */
  get converged(): boolean {
    const { patience, log } = this.#setting;
    if (patience === null) return false;
    const dices = log.read().flatMap((event) => (event.type === 'validation' ? [meanDice(event.mean)] : []));
    return withoutRise(dices) >= patience;
  }
}

/** How many values at the end are none better than what came before them. */
export function withoutRise(values: number[]): number {
  const best = values.indexOf(Math.max(...values));
  return values.length === 0 ? 0 : values.length - 1 - best;
}

/** Mean Dice of arteries and veins; 0 where neither is defined. */
export function meanDice({ artery, vein }: Scores): number {
  const known = [artery?.dice, vein?.dice].filter((dice) => typeof dice === 'number');
  return known.length === 0 ? 0 : known.reduce((sum, dice) => sum + dice, 0) / known.length;
}

/** What is read back of `best/validation.json`. */
const validationFile = z.object({ dice: z.number() });

async function bestSoFar(out: string): Promise<number> {
  const file = join(out, 'best', 'validation.json');
  if (!existsSync(file)) return Number.NEGATIVE_INFINITY;
  const parsed = validationFile.safeParse(await readJson(file));
  if (parsed.success) return parsed.data.dice;
  throw new FormatError('ERR_FORMAT', `"${file}" does not say the Dice of the best model.`);
}
