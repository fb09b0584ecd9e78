import type { EventLog } from './events.js';
import { type RunFile, saveRun } from './run.js';

/** The first steps pay for cold caches and are not measured. */
const FIRST = 5;
const LAST = 30;
const unitSeconds = { s: 1, m: 60, h: 3600 } as const;

/** Turns `fit:75m` into a number of steps, once, from the median of the first steps' seconds. */
export class Pace {
  readonly #run: RunFile;
  readonly #out: string;
  readonly #log: EventLog;
  readonly #seconds: number[] = [];

  constructor(run: RunFile, out: string, log: EventLog) {
    this.#run = run;
    this.#out = out;
    this.#log = log;
  }

  /** Takes note of a step; after the last measured one the run's length stands, in `run.json` too. */
  async measure(step: number, seconds: number, elapsedSeconds: number): Promise<void> {
    if (this.#run.steps !== null) return;
    this.#seconds.push(seconds);
    if (this.#seconds.length < LAST) return;
    const sorted = this.#seconds.slice(FIRST).sort((a, b) => a - b);
    const secondsPerStep = sorted[sorted.length >> 1] ?? seconds;
    const left = fitSeconds(String(this.#run.config.steps)) - elapsedSeconds;
    this.#run.steps = step + Math.max(0, Math.floor(left / secondsPerStep));
    await saveRun(this.#out, this.#run);
    this.#log.write({ type: 'fitted', step, steps: this.#run.steps, secondsPerStep });
  }
}

/** Seconds of `fit:75m`. */
export function fitSeconds(fit: string): number {
  const [, amount, unit] = /^fit:(.+)([smh])$/.exec(fit) ?? [];
  return Number(amount) * unitSeconds[unit as keyof typeof unitSeconds];
}
