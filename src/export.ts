import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkPath } from './check.js';
import { IoError, UsageError } from './errors.js';
import { refuseSamePlace } from './files.js';
import { findModel } from './models.js';
import type { ExportedCheckpoint } from './native/binding.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, type Kinds, PATH } from './options.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

/** What to export, and where to. */
export interface ExportOptions extends CallOptions {
  /** Name or directory of a `la-caf` model. */
  model: string;
  /** The file to write, `.safetensors`; it is replaced in one step. */
  out: string;
}

/** What was written. */
export interface ExportReport extends ExportedCheckpoint {
  /** The file. */
  output: string;
}

const OPTIONS: Kinds<ExportOptions> = { ...CALL_OPTIONS, model: PATH, out: PATH };

/**
 * Writes a `la-caf` model's weights under their published PyTorch names and axes; {@link importCheckpoint} takes them
 * back.
 *
 * @throws UsageError, ModelError, IoError
 */
export async function exportCheckpoint(options: ExportOptions): Promise<ExportReport> {
  checkOptions(options, OPTIONS);
  const { model, out } = options;
  checkPath('The file', out);
  if (!out.endsWith('.safetensors')) {
    throw new UsageError(`The file to write must end in .safetensors, but it is "${out}".`);
  }
  const directory = findModel(model);
  const folder = dirname(out);
  refuseSamePlace(out, [join(directory, 'model.safetensors')]);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new IoError('ERR_IO', `"${out}" could not be written: there is no folder "${folder}".`);
  }
  if (existsSync(out) && statSync(out).isDirectory()) throw new UsageError(`"${out}" is a folder.`);
  const written = await call(options, () => addon().exportCheckpoint(directory, out));
  return { output: out, ...written };
}
