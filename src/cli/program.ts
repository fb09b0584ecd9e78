import { Command } from 'commander';
import { version } from '../native/load.js';
import * as commands from './commands.js';
import { PROGRESS_MODES } from './output.js';

const EXAMPLES = `
From a DICOM folder to labels, a page and a mesh:
  pulmoav info study                                             which series there are
  pulmoav segment study -o labels.seg.dcm --report report.html
  pulmoav surface labels.seg.dcm -o vessels.glb

"pulmoav COMMAND --help" says what a command takes, most with examples. Research use only: not a medical device.`;

/** The whole command line: every command, with what all of them take. */
export function pulmoav(): Command {
  const program = new Command('pulmoav')
    .description('Finds the pulmonary arteries and veins in chest CT, told by words what to look for.')
    .version(version(), '-v, --version')
    .addHelpText('after', EXAMPLES);
  for (const add of commands.all) add(program);
  for (const command of program.commands) {
    command.option('--json', 'print exactly one JSON object on standard output');
    command.option('--progress <mode>', `${PROGRESS_MODES.join(', ')}: json is one object a line on standard error`);
  }
  return program;
}
