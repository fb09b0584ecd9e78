/** Stable codes of everything that can go wrong; people script against them. */
export type ErrorCode =
  | 'ERR_USAGE'
  | 'ERR_FORMAT'
  | 'ERR_GEOMETRY'
  | 'ERR_CONFIG'
  | 'ERR_PROMPT'
  | 'ERR_MODEL'
  | 'ERR_DEVICE'
  | 'ERR_MEMORY'
  | 'ERR_IO'
  | 'ERR_STRICT'
  | 'ERR_INTERNAL';

/** What every failure of this package is an instance of. */
export class PulmoavError extends Error {
  /** Stable code, the same across versions. */
  readonly code: ErrorCode;
  /** What to do about it, where the message does not say. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
  }
}

/** A wrong argument or flag (`ERR_USAGE`). */
export class UsageError extends PulmoavError {
  constructor(message: string, options: { cause?: unknown; hint?: string } = {}) {
    super('ERR_USAGE', message, options);
  }
}
/** A file that is not what it should be (`ERR_FORMAT`). */
export class FormatError extends PulmoavError {}
/** A shape, an affine or an index that does not fit (`ERR_GEOMETRY`). */
export class GeometryError extends PulmoavError {}
/** A configuration that does not hold (`ERR_CONFIG`). */
export class ConfigError extends PulmoavError {
  constructor(message: string, options: { cause?: unknown; hint?: string } = {}) {
    super('ERR_CONFIG', message, options);
  }
}
/** Words the model does not know, or know twice (`ERR_PROMPT`). */
export class PromptError extends PulmoavError {}
/** Weights that are missing, corrupt or of another kind (`ERR_MODEL`). */
export class ModelError extends PulmoavError {}
/** A device that is not there (`ERR_DEVICE`). */
export class DeviceError extends PulmoavError {}
/** More memory needed than allowed (`ERR_MEMORY`). */
export class MemoryError extends PulmoavError {}
/** A file that could not be read or written (`ERR_IO`). */
export class IoError extends PulmoavError {}
/** A warning where warnings were to be failures (`ERR_STRICT`). */
export class StrictError extends PulmoavError {}
/** A fault of this package (`ERR_INTERNAL`). */
export class InternalError extends PulmoavError {}

const WRONG_WITH_FILES: Record<string, string> = {
  ENOENT: 'does not exist',
  EISDIR: 'is a folder, where a file is expected',
  ENOTDIR: 'does not exist',
  EACCES: 'may not be read by you',
};

/** What to throw where the system does not let a file be read. */
export function unreadable(path: string, error: unknown): IoError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new IoError('ERR_IO', `"${path}" ${WRONG_WITH_FILES[code] ?? `could not be read: ${message}`}.`, {
    cause: error,
  });
}

const classes = {
  ERR_FORMAT: FormatError,
  ERR_GEOMETRY: GeometryError,
  ERR_PROMPT: PromptError,
  ERR_MODEL: ModelError,
  ERR_DEVICE: DeviceError,
  ERR_MEMORY: MemoryError,
  ERR_IO: IoError,
  ERR_STRICT: StrictError,
  ERR_INTERNAL: InternalError,
} as const;

/** The error class that goes with a code; an unknown code is our own fault. */
export function errorOf(code: string, message: string, cause?: unknown): PulmoavError {
  const options = cause === undefined ? {} : { cause };
  if (code === 'ERR_USAGE') return new UsageError(message, options);
  if (code === 'ERR_CONFIG') return new ConfigError(message, options);
  const known = code in classes ? (code as keyof typeof classes) : 'ERR_INTERNAL';
  return new classes[known](known, message, options);
}

/** Whether `error` is a failure that this package names. */
export function isPulmoavError(error: unknown): error is PulmoavError {
  return error instanceof PulmoavError;
}
