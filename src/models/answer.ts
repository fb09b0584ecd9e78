import { IoError, ModelError } from '../errors.js';
import { BrokenTransfer } from './transfer.js';

/** What came back, its body not read yet. */
export interface Answer {
  url: URL;
  status: number;
  header(name: string): string | undefined;
  /** The body; a transfer that breaks off throws {@link BrokenTransfer}. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Lets go of it, read or not. */
  close(): Promise<void>;
}

/**
 * Throws what a status of 400 and more means; a file that is just not there is no failure yet.
 *
 * @throws ModelError, IoError, BrokenTransfer
 */
export function refuse({ status, url, header }: Answer): void {
  const code = header('x-error-code') ?? '';
  const where = `${url.host} answered ${status}`;
  if (status === 401 || status === 403 || code === 'RepoNotFound' || code === 'GatedRepo') {
    const hint = 'Check the name. For a private or gated model set HF_TOKEN, and accept its terms on its page.';
    throw new ModelError('ERR_MODEL', `There is no such model on the hub, or not for you: ${where}.`, { hint });
  }
  if (code === 'RevisionNotFound') {
    throw new ModelError('ERR_MODEL', `The model has no such revision: ${where}.`);
  }
  if (status === 404) return;
  if (status === 408 || status === 429 || status >= 500) throw new BrokenTransfer(where);
  throw new IoError('ERR_IO', `${where}.`);
}

/** Where an answer sends us, if it does. */
export function redirection({ status, header }: Answer): string | undefined {
  return [301, 302, 303, 307, 308].includes(status) ? (header('location') ?? '') : undefined;
}
