import type { CallMonitor, Outcome } from './native/binding.js';
import { addon } from './native/load.js';
import { type Unwrapped, unwrap } from './native/unwrap.js';
import type { CallOptions, Progress } from './types.js';

const POLL_MS = 100;

/**
 * Runs one native call: progress out about ten times a second, cancellation in.
 *
 * @throws `signal.reason` when cancelled; the native error's class otherwise.
 */
export async function call<T>(
  options: CallOptions,
  start: (monitor: CallMonitor) => Promise<unknown>,
): Promise<Unwrapped<T>> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const monitor = new (addon().CallMonitor)();
  const cancel = () => monitor.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const poll = onProgress && setInterval(reporter(monitor, onProgress), POLL_MS);
  try {
    return unwrap<T>((await start(monitor)) as Outcome, signal);
  } finally {
    clearInterval(poll);
    signal?.removeEventListener('abort', cancel);
  }
}

function reporter(monitor: CallMonitor, onProgress: (progress: Progress) => void): () => void {
  let last = '';
  return () => {
    const progress = monitor.progress();
    if (!progress) return;
    const key = `${progress.stage} ${progress.done} ${progress.total}`;
    if (key === last) return;
    last = key;
    onProgress(progress);
  };
}
