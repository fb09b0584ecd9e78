import { isPulmoavError } from '../errors.js';

/** Status of a batch in which some cases failed. */
export const PARTIAL_FAILURE = 4;

const signals = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof signals;

class Interrupted extends Error {
  readonly status: number;
  constructor(signal: Signal) {
    super(`Interrupted by ${signal}.`);
    this.name = 'AbortError';
    this.status = signals[signal];
  }
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

/** The documented exit status of a failure. */
export function exitStatus(error: unknown, signal: AbortSignal): number {
  if (signal.aborted && signal.reason instanceof Interrupted) return signal.reason.status;
  if (!isPulmoavError(error) || error.code === 'ERR_INTERNAL') return 1;
  return error.code === 'ERR_USAGE' ? 2 : 3;
}

/** Tells a failure: one object on standard output with `--json`, one sentence on standard error else. */
export function reportError(error: unknown, { json, signal }: { json: boolean; signal: AbortSignal }): void {
  const known = isPulmoavError(error);
  const interrupted = signal.aborted && signal.reason instanceof Interrupted;
  const message = interrupted ? signal.reason.message : error instanceof Error ? error.message : String(error);
  const code = known ? error.code : interrupted ? 'INTERRUPTED' : 'ERR_INTERNAL';
  const hint = known ? (error.hint ?? null) : null;
  if (json) process.stdout.write(`${JSON.stringify({ schemaVersion: 1, error: { code, message, hint } })}\n`);
  process.stderr.write(`pulmoav: ${message}${hint ? ` ${hint}.` : ''}${interrupted ? '' : ` [${code}]`}\n`);
  if (!known && !interrupted && error instanceof Error && error.stack) process.stderr.write(`${error.stack}\n`);
}
