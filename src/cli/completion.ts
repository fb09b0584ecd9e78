import { Argument, type Command } from 'commander';
import { printJson } from './output.js';

/** Shells whose completion is written. */
const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print what completes commands and flags in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText('after', '\nExample: pulmoav completion bash >> ~/.bash_completion')
    .action((shell: Shell, { json }: { json?: boolean }) => {
      const text = completion(program, shell);
      if (json) printJson({ text });
      else process.stdout.write(text);
    });
}

/** A command as a shell completes it. */
interface Completed {
  name: string;
  description: string;
  flags: { long: string; description: string }[];
}

function completion(program: Command, shell: Shell): string {
  const commands: Completed[] = program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    flags: command.options.flatMap(({ long, description }) => (long ? [{ long, description }] : [])),
  }));
  if (shell === 'fish') return fish(commands);
  // zsh runs completions of bash.
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bash(commands)}` : bash(commands);
}

function bash(commands: Completed[]): string {
  const cases = commands.map(
    ({ name, flags }) => `    ${name}) words="${flags.map(({ long }) => long).join(' ')} --help" ;;`,
  );
  return `# Completion of pulmoav; file names are completed where no flag begins.
_pulmoav() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help --version" -- "$current"))
  elif [ "\${current:0:1}" = "-" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -o default -F _pulmoav pulmoav
`;
}

function fish(commands: Completed[]): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap(({ name, description, flags }) => [
    `complete -c pulmoav -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`,
    ...flags.map(({ long, description }) => {
      const after = `'__fish_seen_subcommand_from ${name}'`;
      return `complete -c pulmoav -n ${after} -l ${long.slice(2)} -d ${quoted(description)}`;
    }),
  ]);
  return `# Completion of pulmoav.\n${lines.join('\n')}\n`;
}
