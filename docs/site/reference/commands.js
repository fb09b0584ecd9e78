import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * What every command says with `--help`, as one page.
 *
 * @param {string} root the repository's folder, built
 */
export async function commandsPage(root) {
  const { pulmoav } = await import(pathToFileURL(join(root, 'dist/cli/program.js')));
  const program = pulmoav();
  const sections = [program, ...program.commands].map((command) => {
    const name = command === program ? 'pulmoav' : `pulmoav ${command.name()}`;
    return `## ${name}\n\n\`\`\`text\n${help(command)}\n\`\`\`\n`;
  });
  return `# Commands

What each command says with \`--help\`. Exit status: 0 done, 1 our fault, 2 wrong usage, 3 input or environment, 4 part of a
batch failed, 130 and 143 interrupted. What \`--json\` prints is said under [reports](reports.md).

${sections.join('\n')}`;
}

/** The whole help of a command, what stands after its flags too. */
function help(command) {
  let text = '';
  command.configureOutput({
    writeOut: (piece) => {
      text += piece;
    },
    getOutHelpWidth: () => 102,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trim();
}
