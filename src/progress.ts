import type { CallMonitor, ErrorInfo, Progress as Reached } from './native/binding.js';
import { addon } from './native/load.js';
import { unwrap } from './native/unwrap.js';
import type { CallOptions, Progress } from './types.js';

const POLL_MS = 100;

/**
 * Runs one native call: progress out about ten times a second, cancellation in.
 *
 * @throws `signal.reason` when cancelled; the native error's class otherwise.
 */
export async function call<T>(
  options: CallOptions,
  start: (monitor: CallMonitor) => Promise<T | ErrorInfo>,
): Promise<T> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const monitor = new (addon().CallMonitor)();
  const cancel = () => monitor.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const reporter = onProgress && new Reporter(monitor, onProgress);
  try {
    const outcome = await start(monitor);
    reporter?.stop();
    return unwrap(outcome, signal);
  } finally {
    reporter?.abandon();
    signal?.removeEventListener('abort', cancel);
  }
}

/** Hands a monitor's reports on; what the listener throws cancels the call and becomes its failure. */
class Reporter {
  readonly #monitor: CallMonitor;
  readonly #listener: (progress: Progress) => void;
  readonly #timer: NodeJS.Timeout;
  #last = '';
  /** The stage that is under way, since when, and from where. */
  #stage = { name: '', since: 0, from: 0 };
  #failure: { reason: unknown } | undefined;

  constructor(monitor: CallMonitor, listener: (progress: Progress) => void) {
    this.#monitor = monitor;
    this.#listener = listener;
    this.#timer = setInterval(() => this.#report(), POLL_MS);
  }

  /** Reports what is left to report, then stops. */
  stop(): void {
    this.abandon();
    this.#report();
    if (this.#failure) throw this.#failure.reason;
  }

  abandon(): void {
    clearInterval(this.#timer);
  }

  #report(): void {
    const progress = this.#monitor.progress();
    if (!progress || this.#failure) return;
    const key = `${progress.stage} ${progress.done} ${progress.total}`;
    if (key === this.#last) return;
    this.#last = key;
    try {
      this.#listener({ ...progress, ...this.#left(progress) });
    } catch (reason) {
      this.#failure = { reason };
      this.#monitor.cancel();
    }
  }

  #left({ stage, done, total }: Reached): { secondsLeft?: number } {
    const now = performance.now();
    if (stage !== this.#stage.name) this.#stage = { name: stage, since: now, from: done };
    const { since, from } = this.#stage;
    if (done <= from || total <= 0) return {};
    return { secondsLeft: (((now - since) / 1000) * (total - done)) / (done - from) };
  }
}
