import { errorOf } from '../errors.js';
import type { ErrorInfo } from './binding.js';

/** The answer of a native call; what went wrong instead is thrown as the error class that goes with its code. */
export function unwrap<T>(outcome: T | ErrorInfo, signal?: AbortSignal): T {
  if (!isErrorInfo(outcome)) return outcome;
  const { code, message, causes } = outcome;
  if (code === 'CANCELLED') signal?.throwIfAborted();
  const cause = causes.reduceRight<Error | undefined>(
    (inner, text) => new Error(text, inner && { cause: inner }),
    undefined,
  );
  throw errorOf(code, message, cause);
}

/** Only an error has causes. */
function isErrorInfo<T>(outcome: T | ErrorInfo): outcome is ErrorInfo {
  return typeof outcome === 'object' && outcome !== null && 'causes' in outcome;
}
