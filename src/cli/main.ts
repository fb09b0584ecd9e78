#!/usr/bin/env node
import { CommanderError } from 'commander';
import { UsageError } from '../errors.js';
import { exitStatus, named, reportError, watchSignals } from './exit.js';
import { outliveReaders, PROGRESS_MODES, printJson, tellProgress } from './output.js';
import { pulmoav } from './program.js';

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
    const failure = error instanceof CommanderError ? usage(error) : named(error);
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

/** A wrong flag, as one of our own errors. */
function usage(error: CommanderError): UsageError {
  if (error.code === 'commander.help') {
    const [, , command, topic] = process.argv;
    if (command === 'help' && topic !== undefined) {
      return new UsageError(`There is no command '${topic}'.`, { hint: '"pulmoav --help" lists the commands.' });
    }
    return new UsageError('No command was given.', { hint: '"pulmoav --help" lists the commands.' });
  }
  const message = error.message.replace(/^error: /, '').replace(/\.?$/, '.');
  const hint =
    error.code === 'commander.unknownCommand'
      ? '"pulmoav --help" lists the commands.'
      : '"pulmoav COMMAND --help" lists what it takes.';
  return new UsageError(message.charAt(0).toUpperCase() + message.slice(1), { hint });
}
