import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomic } from '../files.js';
import type { Scores } from '../scores.js';

/** One line of a run's log. */
export type TrainEvent =
  | {
      type: 'start';
      step: number;
      steps: number | null;
      parameters: number;
      ceiling: Record<string, number>;
      trainingCases: number;
      validationCases: number;
    }
  | { type: 'warning'; step: number; code: string; message: string; case?: string }
  | { type: 'fitted'; step: number; steps: number; secondsPerStep: number }
  | {
      type: 'step';
      step: number;
      /** `null` where it was not a finite number. */
      loss: number | null;
      learningRate: number;
      gradNorm: number;
      seconds: number;
      targets: Record<string, number>;
      /** Each loss at the finest scale before its weight. */
      terms: Record<string, number>;
      /** Factors of the losses' weights by learnt uncertainty; empty without that policy. */
      lossFactors: Record<string, number>;
      /** What was learnt from the teacher: thresholds and shares of accepted voxels of background, artery and vein. */
      teacher: {
        /** `null` where it was not a finite number. */
        loss: number | null;
        weight: number;
        thresholds: number[];
        accepted: (number | null)[];
      } | null;
    }
  | { type: 'validation'; step: number; mean: Scores; seconds: number }
  | { type: 'checkpoint'; step: number; best: boolean }
  | { type: 'end'; step: number; reason: EndReason };

/** Why a run ended: all steps taken, time up, or cancelled. */
export type EndReason = 'finished' | 'time' | 'cancelled';

/** The run's log, `events.jsonl`: one JSON object a line, appended as things happen. */
export class EventLog {
  readonly #file: string;
  readonly #listen: ((event: TrainEvent) => void) | undefined;

  constructor(run: string, listen?: (event: TrainEvent) => void) {
    this.#file = join(run, 'events.jsonl');
    this.#listen = listen;
  }

  /** Cuts back to what a checkpoint at `step` knows, so that a resumed run's log reads as if it had never stopped. */
  async cutBack(step: number): Promise<void> {
    if (!existsSync(this.#file)) return;
    const kept = this.read().filter((event) => isKnownAt(event, step));
    await writeAtomic(this.#file, kept.map((event) => `${JSON.stringify(event)}\n`).join(''));
  }

  /** Everything written so far; a last line torn by a kill is left out. */
  read(): TrainEvent[] {
    if (!existsSync(this.#file)) return [];
    return readFileSync(this.#file, 'utf8').split('\n').flatMap(parseLine);
  }

  /** Steps taken so far, as far as they are written down. */
  stepsTaken(): number {
    return this.read().reduce((most, event) => (event.type === 'step' ? Math.max(most, event.step + 1) : most), 0);
  }

  write(event: TrainEvent): void {
    appendFileSync(this.#file, `${JSON.stringify(event)}\n`);
    this.#listen?.(event);
  }
}

/** A step event carries the number of the step it took, so the step a checkpoint goes on with is not in it yet. */
function isKnownAt(event: TrainEvent, step: number): boolean {
  if (event.type === 'end') return false;
  return event.type === 'step' ? event.step < step : event.step <= step;
}

function parseLine(line: string): TrainEvent[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as TrainEvent];
  } catch {
    return [];
  }
}
