import type { Command } from 'commander';
import { info } from '../inspect.js';
import { interruption } from './exit.js';
import { printJson, say, sayWarnings } from './output.js';

export function addInfo(program: Command): void {
  program
    .command('info')
    .description('say what a file is: shape, spacing, orientation')
    .argument('<file>', 'a NIfTI, NRRD or MetaImage file')
    .action(async (file: string, options: { json?: boolean }) => {
      const found = await info(file, { signal: interruption });
      if (options.json) return printJson(found);
      say(`${file}: ${found.shape.join(' × ')} voxels [z, y, x], ${found.dataType}`);
      say(`spacing ${found.spacingMm.map((mm) => mm.toFixed(3)).join(' × ')} mm, axes ${found.axcodes}`);
      sayWarnings(found.warnings);
    });
}
