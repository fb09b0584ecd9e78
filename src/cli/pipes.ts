import { createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { FORMATS } from '../batch/scans.js';
import { FormatError, UsageError } from '../errors.js';
import { withFileOf, withFolder } from '../spool.js';
import { interruption } from './exit.js';

/** What stands for standard input or output. */
const PIPE = '-';
const ENDING = new RegExp(`\\.(${FORMATS.map((format) => format.replace('.', '\\.')).join('|')}|dcm)$`, 'i');

/** Whether a command's output is standard output. */
export function isPipe(path: string): boolean {
  return path === PIPE;
}

/**
 * Runs `work` with scans by path: `-` is what comes on standard input, whatever its format.
 *
 * @throws UsageError, FormatError, and what `work` throws
 */
export async function withInputs<T>(inputs: string[], work: (paths: string[]) => Promise<T>): Promise<T> {
  const pipes = inputs.filter(isPipe);
  if (pipes.length === 0) return await work(inputs);
  if (pipes.length > 1) throw new UsageError('Standard input holds one scan, but "-" was given twice.');
  if (process.stdin.isTTY) {
    throw new UsageError('"-" reads the scan from standard input, but that is a terminal.', {
      hint: 'Pipe a file into it: pulmoav segment - -o labels.nii.gz < scan.nii.gz',
    });
  }
  return await withFileOf(process.stdin, interruption, async (path) => {
    try {
      return await work(inputs.map((input) => (isPipe(input) ? path : input)));
    } catch (error) {
      if (!(error instanceof FormatError) || !error.message.includes(path)) throw error;
      throw new FormatError(error.code, error.message.replaceAll(path, 'standard input'), { cause: error });
    }
  });
}

/**
 * Runs `work` with the path of its output. `-` is a file that goes to standard output afterwards; a name without a
 * known ending gets that of `format`.
 *
 * @throws UsageError, and what `work` throws
 */
export async function withOutput<T>(
  output: string,
  format: string | undefined,
  work: (path: string) => Promise<T>,
): Promise<T> {
  if (!isPipe(output)) return await work(named(output, format));
  return await withFolder(async (folder) => {
    const path = join(folder, `labels.${format ?? 'nii'}`);
    const result = await work(path);
    // Standard output stays open for whatever the command says afterwards.
    await pipeline(createReadStream(path), process.stdout, { end: false, signal: interruption }).catch(gone);
    return result;
  });
}

function named(output: string, format: string | undefined): string {
  if (format === undefined || output.toLowerCase().endsWith(`.${format}`)) return output;
  const [ending] = ENDING.exec(basename(output)) ?? [];
  if (ending === undefined) return `${output}.${format}`;
  throw new UsageError(`"${output}" ends in ${ending}, but --format says ${format}.`);
}

/** A reader that has gone is no failure, as everywhere. */
function gone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
}
