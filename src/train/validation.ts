import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../errors.js';
import { readJson, writeAtomic } from '../files.js';
import { meanScores, type Scores } from '../scores.js';
import type { CallOptions } from '../types.js';
import { keep } from './checkpoints.js';
import type { EventLog } from './events.js';
import type { Trainer } from './trainer.js';

interface Setting {
  out: string;
  cases: number;
  log: EventLog;
  /** Writes a model directory with the run's whole state. */
  save: (directory: string) => Promise<void>;
}

/** Scores a run now and then, and keeps its best model. */
export class Validation {
  /** Mean scores of the last validation. */
  last: Scores | null = null;
  readonly #trainer: Trainer;
  readonly #setting: Setting;

  constructor(trainer: Trainer, setting: Setting) {
    this.#trainer = trainer;
    this.#setting = setting;
  }

  /** Validates after `step` steps; the model that scores best so far becomes `RUN/best`. */
  async take(step: number, options: CallOptions): Promise<void> {
    const { out, cases, log } = this.#setting;
    if (this.#trainer.facts.validationCases.length === 0) return;
    const started = performance.now();
    const scored = await this.#trainer.validate(cases, { signal: options.signal });
    const mean = meanScores(scored.map(({ scores }) => scores));
    this.last = mean;
    log.write({ type: 'validation', step, mean, seconds: (performance.now() - started) / 1000 });
    const dice = meanDice(mean);
    if (dice < (await bestSoFar(out))) return;
    await keep(out, 'best', async (directory) => {
      await this.#setting.save(directory);
      await writeAtomic(join(directory, 'validation.json'), `${JSON.stringify({ step, dice, mean }, null, 2)}\n`);
    });
    log.write({ type: 'checkpoint', step, best: true });
  }
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
