import { setTimeout as wait } from 'node:timers/promises';
import { hub } from '../config/hub.js';
import { IoError } from '../errors.js';

/** A transfer that broke off for a reason that may pass. */
export class BrokenTransfer extends Error {
  /** Bytes that came before it broke. */
  received = 0;
}

/** How long to be patient. */
export interface Patience {
  /** Silence after which a transfer counts as broken, ms. */
  timeoutMs: number;
  /** Further tries. */
  retries: number;
  signal?: AbortSignal | undefined;
}

/**
 * Tries again, a few times and ever later, while transfers break off; a try that brought much counts as a new start.
 *
 * @throws IoError, once the tries are used up
 */
export async function persist<T>({ retries, signal }: Patience, attempt: () => Promise<T>): Promise<T> {
  for (let failures = 1, tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof BrokenTransfer)) throw error;
      if (error.received >= hub.progressBytes) failures = 1;
      if (failures > retries) {
        throw new IoError('ERR_IO', `${error.message} (tried ${tries === 1 ? 'once' : `${tries} times`}).`, {
          cause: error.cause ?? error,
          hint: 'Run the same command again: it goes on where it stopped.',
        });
      }
      await pause(hub.backoffMs * 2 ** (failures++ - 1), signal);
    }
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch {
    signal?.throwIfAborted();
  }
}

/** Aborts a request that is silent for too long, or that the caller cancels. */
export class Watchdog {
  readonly #silence = new AbortController();
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** For the request. */
  readonly signal: AbortSignal;

  constructor({ timeoutMs, signal }: Patience) {
    this.#timeoutMs = timeoutMs;
    this.signal = signal ? AbortSignal.any([signal, this.#silence.signal]) : this.#silence.signal;
    this.start();
  }

  /** Whether the silence lasted too long. */
  get barked(): boolean {
    return this.#silence.signal.aborted;
  }

  /** Listens from now on. */
  start(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#silence.abort(), this.#timeoutMs);
  }

  /** Does not listen, while nothing is expected. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
