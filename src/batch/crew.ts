import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { SegmentJob, SegmentReport } from '../segment-file.js';
import type { Progress } from '../types.js';
import type { Answer, Failure, Order } from './messages.js';

const PROGRAM = fileURLToPath(new URL('./worker.js', import.meta.url));
/** A process that does not end by itself after a cancellation is ended. */
const PATIENCE_MS = 20_000;

/** What became of one scan. */
export type Outcome = { report: SegmentReport } | { failure: Failure };

/**
 * One process at a time that labels scans one after the other. One that breaks takes a scan with it, not the batch: the
 * next scan gets a fresh one.
 */
export class Labeller {
  #child: ChildProcess | undefined;

  /** Labels a scan; a failure is an outcome, a cancellation throws `signal.reason`. */
  async label(job: SegmentJob, signal: AbortSignal | undefined, onProgress: (at: Progress) => void): Promise<Outcome> {
    signal?.throwIfAborted();
    const child = this.#started();
    return await new Promise<Outcome>((resolve, reject) => {
      let patience: NodeJS.Timeout | undefined;
      const cancel = () => {
        send(child, { type: 'cancel' });
        patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
      };
      const settle = (act: () => void) => {
        clearTimeout(patience);
        child.off('message', hear).off('exit', leave);
        signal?.removeEventListener('abort', cancel);
        act();
      };
      const hear = (answer: Answer) => {
        if (answer.type === 'progress') return onProgress(answer.progress);
        settle(() => {
          if (answer.type === 'done') resolve({ report: answer.report });
          else if (answer.type === 'failed') resolve({ failure: answer.failure });
          else reject(signal?.reason);
        });
      };
      const leave = (status: number | null, by: NodeJS.Signals | null) => {
        this.#child = undefined;
        settle(() => (signal?.aborted ? reject(signal.reason) : resolve({ failure: broken(status, by) })));
      };
      child.on('message', hear).on('exit', leave);
      signal?.addEventListener('abort', cancel, { once: true });
      send(child, { type: 'label', job });
    });
  }

  /** Lets the process go. */
  dismiss(): void {
    if (this.#child?.connected) this.#child.disconnect();
    this.#child = undefined;
  }

  #started(): ChildProcess {
    this.#child ??= fork(PROGRAM, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    return this.#child;
  }
}

/** An order to a process that has just ended is lost; its end is told by itself. */
function send(child: ChildProcess, order: Order): void {
  child.send(order, () => {});
}

function broken(status: number | null, by: NodeJS.Signals | null): Failure {
  const how = by ? `by ${by}, as the system ends it where memory runs out` : `with status ${status}`;
  return { code: 'ERR_INTERNAL', message: `Its process ended ${how}.`, hint: 'Try --processes 1 or --max-memory.' };
}
