#!/usr/bin/env node
import { CommanderError } from 'commander';
import { UsageError } from '../errors.js';
import { exitStatus, named, reportError, watchSignals } from './exit.js';
import { outliveReaders, PROGRESS_MODES, printJson, tellProgress } from './output.js';
import { pulmoav } from './program.js';
import { usage } from './usage.js';

const json = process.argv.includes('--json');
const program = pulmoav();
/** What would be printed as text; help comes in several pieces. */
let text = '';
for (const command of [program, ...program.commands]) {
  command.exitOverride().configureOutput({
    writeOut: (piece) => {
      if (json) text += piece;
      else process.stdout.write(piece);
    },
    writeErr: () => {},
    outputError: () => {},
  });
}

const stop = watchSignals();
outliveReaders();
try {
  await program.parseAsync(withoutProgress(process.argv));
  process.exitCode ??= 0;
} catch (error) {
  if (error instanceof CommanderError && error.exitCode === 0) {
    if (json) printJson({ text: text.trimEnd() });
    process.exitCode = 0;
  } else {
    const failure = error instanceof CommanderError ? usage(error, program, process.argv.slice(2)) : named(error);
    reportError(failure, { json, signal: stop.signal });
    process.exitCode = exitStatus(failure, stop.signal);
  }
}

/** Takes `--progress MODE` out of the arguments and heeds it: it is no command's own. */
function withoutProgress(args: string[]): string[] {
  const at = args.findIndex((arg) => arg === '--progress' || arg.startsWith('--progress='));
  if (at < 0) return args;
  const [, inline] = args[at]?.split('=', 2) ?? [];
  const given = inline ?? args[at + 1];
  const mode = PROGRESS_MODES.find((known) => known === given);
  if (!mode) throw new UsageError(`--progress takes one of ${PROGRESS_MODES.join(', ')}.`);
  tellProgress(mode);
  return args.toSpliced(at, inline === undefined ? 2 : 1);
}
