import { IoError, isPulmoavError } from '../errors.js';
import { printJson, say } from './output.js';

/** Status of a batch in which some cases failed. */
export const PARTIAL_FAILURE = 4;

const signals = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof signals;

class Interrupted extends Error {
  readonly status: number;
  readonly hint: string | null;
  constructor(signal: Signal) {
    super(`Interrupted by ${signal}.`);
    this.name = 'AbortError';
    this.status = signals[signal];
    this.hint = advice;
  }
}

let advice: string | null = null;

/** What to say of an interruption from here on: how to go on. */
export function adviseOnInterruption(hint: string): void {
  advice = hint;
}

const controller = new AbortController();

/** The signal that Ctrl-C and SIGTERM abort; every command hands it to its calls. */
export const interruption: AbortSignal = controller.signal;

/** The first SIGINT or SIGTERM cancels what runs and lets it clean up; a second one ends the process at once. */
export function watchSignals(): AbortController {
  for (const signal of Object.keys(signals) as Signal[]) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(signals[signal]);
      controller.abort(new Interrupted(signal));
    });
  }
  return controller;
}

/** What the operating system refused, as one of our own errors; anything else as it is. */
export function named(error: unknown): unknown {
  if (!(error instanceof Error) || isPulmoavError(error) || !('syscall' in error)) return error;
  return new IoError('ERR_IO', `${error.message}.`, { cause: error });
}

/** The documented exit status of a failure. */
export function exitStatus(error: unknown, signal: AbortSignal): number {
  if (signal.aborted && signal.reason instanceof Interrupted) return signal.reason.status;
  if (!isPulmoavError(error) || error.code === 'ERR_INTERNAL') return 1;
  return error.code === 'ERR_USAGE' ? 2 : 3;
}

/** Tells a failure: one object on standard output with `--json`, one sentence on standard error else. */
export function reportError(error: unknown, { json, signal }: { json: boolean; signal: AbortSignal }): void {
  const interrupted = signal.aborted && signal.reason instanceof Interrupted;
  const told = errorJson(interrupted ? signal.reason : error);
  if (json) printJson({ error: told });
  say(`pulmoav: ${told.message}${told.hint ? ` ${told.hint}` : ''}${interrupted ? '' : ` [${told.code}]`}`);
  if (!isPulmoavError(error) && !interrupted && error instanceof Error && error.stack) say(error.stack);
}

/** A failure as `--json` tells it. An interruption has the code `INTERRUPTED`. */
export function errorJson(error: unknown): { code: string; message: string; hint: string | null } {
  const message = error instanceof Error ? error.message : String(error);
  if (isPulmoavError(error)) return { code: error.code, message, hint: error.hint ?? null };
  if (error instanceof Interrupted) return { code: 'INTERRUPTED', message, hint: error.hint };
  return { code: 'ERR_INTERNAL', message, hint: null };
}
