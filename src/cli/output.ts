import type { ClassModelInfo } from '../native/binding.js';
import type { Progress, Warning } from '../types.js';

/**
 * Lets a run go on whose reader has gone (`pulmoav … | head`): what is not read is not an error, and long work is not
 * lost because nobody listens. A result that cannot be printed for another reason, such as a full disk, is told by the
 * status.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') return;
      process.exitCode = 3;
      if (stream === process.stdout) say(`pulmoav: the result could not be printed: ${error.message}. [ERR_IO]`);
    });
  }
}

/** Prints the one object that `--json` promises. */
export function printJson(result: object): void {
  process.stdout.write(`${JSON.stringify({ schemaVersion: 1, ...result })}\n`);
}

/** How progress is told: for the reader at hand, as one JSON object a line on standard error, or not at all. */
export const PROGRESS_MODES = ['auto', 'json', 'none'] as const;
let progressMode: (typeof PROGRESS_MODES)[number] = 'auto';

/** Chooses how progress is told from here on. */
export function tellProgress(mode: typeof progressMode): void {
  progressMode = mode;
}

/** One line of `--progress json`: `progress` with stage, done, total and secondsLeft, or `message` with text. */
function printEvent(event: { type: string; text?: string }): void {
  process.stderr.write(`${JSON.stringify({ schemaVersion: 1, ...event })}\n`);
}

/** Prints an answer that was asked for, as people read it: to standard output, where a pipe finds it. */
export function printLine(line: string): void {
  process.stdout.write(`${printable(line)}\n`);
}

/** Prints what happens beside the answer: to standard error. */
export function say(line: string): void {
  if (progressMode === 'json') {
    printEvent({ type: 'message', text: line });
    return;
  }
  process.stderr.write(`${printable(line)}\n`);
}

/** Control characters as escapes: words of a file must not drive a terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (found) => {
    return `\\x${found.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** Prints warnings, a line each. */
export function sayWarnings(warnings: Warning[]): void {
  for (const { code, message } of warnings) say(`warning: ${message} [${code}]`);
}

/** A progress printer: one line rewritten on a terminal, elsewhere a plain line for each new stage if `stages`. */
export function progressPrinter({ stages = true } = {}): {
  onProgress: (progress: Progress) => void;
  done: () => void;
} {
  if (progressMode === 'none') return { onProgress: () => {}, done: () => {} };
  if (progressMode === 'json') {
    return { onProgress: (progress) => printEvent({ type: 'progress', ...progress }), done: () => {} };
  }
  const terminal = process.stderr.isTTY === true;
  const told = new Set<string>();
  const onProgress = (progress: Progress) => {
    if (terminal) {
      const share = progress.total > 0 ? ` ${Math.floor((100 * progress.done) / progress.total)} %` : '';
      const left = progress.secondsLeft === undefined ? '' : `, about ${readableSeconds(progress.secondsLeft)} left`;
      process.stderr.write(`\r\u001b[K${progress.stage}${share} (${progress.done}/${progress.total}${left})`);
    } else if (stages && !told.has(progress.stage)) {
      say(`${progress.stage} …`);
    }
    told.add(progress.stage);
    if (stages) foretell(progress);
  };
  let foretold = '';
  /** Once a stage that takes long, as soon as its first part tells how long. */
  const foretell = ({ stage, total, secondsLeft }: Progress) => {
    if (secondsLeft === undefined || stage === foretold) return;
    foretold = stage;
    if (secondsLeft < LONG_SECONDS) return;
    if (terminal) process.stderr.write('\r\u001b[K');
    const parts = stage === 'network' ? 'windows' : 'parts';
    say(`${stage}: ${total} ${parts}, about ${readableSeconds(secondsLeft)} to go`);
  };
  const done = () => {
    if (terminal && told.size > 0) process.stderr.write('\r\u001b[K');
  };
  return { onProgress, done };
}

/** A stage of which so much is left after its first part is told apart. */
const LONG_SECONDS = 20;

/** Seconds as people read them. */
export function readableSeconds(seconds: number): string {
  return seconds < 100 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

/** Bytes as people read them. */
export function readableBytes(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** Prints what a model that answers with classes is. */
export function printModel(model: ClassModelInfo): void {
  const mm = model.spacingMm.map((length) => length.toFixed(3)).join(' × ');
  printLine(`${model.name}: ${model.preset}, ${model.parameters} parameters, folds ${model.folds.join(', ')}`);
  printLine(`looks at ${model.channels.join(', ')} in windows of ${model.patch.join(' × ')} voxels of ${mm} mm`);
  printLine(`knows: ${model.classes.map(({ name, value }) => `${value} ${name}`).join(', ')}`);
  printLine(`trained by ${model.trainer} on ${model.dataset}; licence: ${model.licence ?? 'not known'}`);
  for (const note of model.notes) printLine(`note: ${note}`);
}
