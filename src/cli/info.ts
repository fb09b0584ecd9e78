import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { info } from '../inspect.js';
import { verifyModel } from '../models.js';
import { interruption } from './exit.js';
import { printJson, say, sayModel, sayWarnings } from './output.js';

export function addInfo(program: Command): void {
  program
    .command('info')
    .description('say what a file is: shape, spacing, orientation; or what a model is')
    .argument('<file>', 'a NIfTI, NRRD or MetaImage file, or the folder of a model')
    .action(async (file: string, options: { json?: boolean }) => {
      if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) return await tellModel(file, options.json);
      const found = await info(file, { signal: interruption });
      if (options.json) return printJson(found);
      say(`${file}: ${found.shape.join(' × ')} voxels [z, y, x], ${found.dataType}`);
      say(`spacing ${found.spacingMm.map((mm) => mm.toFixed(3)).join(' × ')} mm, axes ${found.axcodes}`);
      sayWarnings(found.warnings);
    });
}

async function tellModel(folder: string, json: boolean | undefined): Promise<void> {
  const model = await verifyModel(folder, { signal: interruption });
  if (json) return printJson(model);
  if (model.kind === 'classes') return sayModel(model);
  if (model.kind === 'clip') return say(`${model.name}: a CLIP text model`);
  say(`${model.name}: ${model.preset}, ${model.parameters} parameters, voxels of ${model.spacingMm.join(' × ')} mm`);
  say(`knows: ${model.targets.map((target) => target.name).join(', ')}`);
}
