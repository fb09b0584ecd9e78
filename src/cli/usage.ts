import { Command, CommanderError, Option } from 'commander';
import { UsageError } from '../errors.js';

/** A wrong command line, as one of our own errors; `args` is what follows the program's name. */
export function usage(error: CommanderError, program: Command, args: string[]): UsageError {
  if (error.code === 'commander.help') {
    const [command, topic] = args;
    if (command === 'help' && topic !== undefined) {
      return new UsageError(`There is no command '${topic}'.`, { hint: '"pulmoav --help" lists the commands.' });
    }
    return new UsageError('No command was given.', { hint: '"pulmoav --help" lists the commands.' });
  }
  const { code, message } = mistyped(program, args) ?? error;
  const sentence = message
    .replace(/^error: /, '')
    .replace(/\n\((Did you mean .*\?)\)$/, '. $1')
    .replace(/([^.?])$/, '$1.');
  const hint =
    code === 'commander.unknownCommand'
      ? '"pulmoav --help" lists the commands.'
      : '"pulmoav COMMAND --help" lists what it takes.';
  return new UsageError(sentence.charAt(0).toUpperCase() + sentence.slice(1), { hint });
}

/**
 * The first option that its command does not know, with a near name. Commander tells options that are missing before
 * this one, although a slip in its name is often why they are, and finds no near name where a value is joined to it.
 */
function mistyped(program: Command, args: string[]): CommanderError | undefined {
  const command = program.commands.find((one) => [one.name(), ...one.aliases()].includes(args[0] ?? ''));
  if (!command) return undefined;
  const lenient = new Command()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .allowExcessArguments();
  for (const { flags, description } of command.options) lenient.addOption(new Option(flags, description));
  const isKnown = (name: string) => lenient.options.some(({ long }) => long === name);
  const bare = args.slice(1).map((arg) => {
    const [name = ''] = arg.split('=', 1);
    return arg.startsWith('--') && !isKnown(name) ? name : arg;
  });
  try {
    lenient.action(() => {}).parse(bare, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.code === 'commander.unknownOption') return error;
  }
  return undefined;
}
