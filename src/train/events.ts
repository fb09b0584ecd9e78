import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeAtomic } from '../files.js';
import type { StepReport, TrainerFacts } from '../native/binding.js';
import type { Scores } from '../scores.js';
import { type LoggedEvent, loggedEvent } from './logged.js';

/** One line of a run's log. */
export type TrainEvent =
  | {
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
    }
  | { type: 'warning'; step: number; code: string; message: string; case?: string }
  | { type: 'fitted'; step: number; steps: number; secondsPerStep: number }
  | ({ type: 'step'; step: number; learningRate: number } & Omit<StepReport, 'samples' | 'teacher' | 'warnings'> & {
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
      })
  | { type: 'validation'; step: number; mean: Scores; seconds: number }
  | { type: 'checkpoint'; step: number; best: boolean }
  | { type: 'end'; step: number; reason: EndReason };

/** Why a run ended: all steps taken, no better for so many validations (`earlyStop`), time up, or cancelled. */
export type EndReason = 'finished' | 'converged' | 'time' | 'cancelled';

/** Whether a run that ended so has come to its end, and does not wait to be resumed. */
export function isWhole(reason: EndReason): boolean {
  return reason === 'finished' || reason === 'converged';
}

/** The run's log, `events.jsonl`: one JSON object a line, appended as things happen. */
export class EventLog {
  readonly #file: string;
  readonly #listeners: ((event: TrainEvent) => void)[] = [];

  constructor(run: string, listen?: (event: TrainEvent) => void) {
    this.#file = join(run, 'events.jsonl');
    if (listen) this.follow(listen);
  }

  /** Calls `listen` with every event from now on. */
  follow(listen: (event: TrainEvent) => void): void {
    this.#listeners.push(listen);
  }

  /** Cuts back to what a checkpoint at `step` knows, so that a resumed run's log reads as if it had never stopped. */
  async cutBack(step: number): Promise<void> {
    if (!existsSync(this.#file)) return;
    const kept = this.#lines().filter(({ event }) => isKnownAt(event, step));
    await writeAtomic(this.#file, kept.map(({ line }) => `${line}\n`).join(''));
  }

  /** The lines with numbers, and how the run ended. */
  read(): LoggedEvent[] {
    return this.#lines().flatMap(({ json }) => {
      const parsed = loggedEvent.safeParse(json);
      return parsed.success ? [parsed.data] : [];
    });
  }

  /** The last scores, if a validation is written down; with `step`, those after so many steps. */
  lastValidation(step?: number): Scores | null {
    const made = (event: LoggedEvent) => event.type === 'validation' && (step === undefined || event.step === step);
    const last = this.read().findLast(made);
    return last?.type === 'validation' ? last.mean : null;
  }

  /** Steps taken so far, as far as they are written down. */
  stepsTaken(): number {
    const steps = this.#lines().flatMap(({ event }) => (event.type === 'step' ? [event.step + 1] : []));
    return steps.reduce((most, taken) => Math.max(most, taken), 0);
  }

  /** Events given together are written together: a kill leaves all of them or at worst a torn line. */
  write(...events: TrainEvent[]): void {
    appendFileSync(this.#file, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    for (const event of events) for (const listen of this.#listeners) listen(event);
  }

  /** Everything written so far; a last line torn by a kill is left out. */
  #lines(): LoggedLine[] {
    if (!existsSync(this.#file)) return [];
    return readFileSync(this.#file, 'utf8').split('\n').flatMap(parseLine);
  }
}

/** What a resumed run has to know of a line. */
const placed = z.object({ type: z.string(), step: z.number() });

interface LoggedLine {
  line: string;
  json: unknown;
  event: z.infer<typeof placed>;
}

/** A step event carries the number of the step it took, so the step a checkpoint goes on with is not in it yet. */
function isKnownAt(event: LoggedLine['event'], step: number): boolean {
  if (event.type === 'end') return false;
  return event.type === 'step' ? event.step < step : event.step <= step;
}

function parseLine(line: string): LoggedLine[] {
  try {
    if (line === '') return [];
    const json: unknown = JSON.parse(line);
    return [{ line, json, event: placed.parse(json) }];
  } catch {
    return [];
  }
}
