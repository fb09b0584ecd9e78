import type { Command } from 'commander';
import { refuseOld } from '../files.js';
import { writeSurface } from '../surface.js';
import { interruption } from './exit.js';
import { integers } from './flags.js';
import { printJson, progressPrinter, say } from './output.js';

interface Flags {
  json?: boolean;
  output: string;
  values?: number[];
  overwrite?: boolean;
}

const EXAMPLES = `
Examples:
  pulmoav surface labels.nii.gz -o vessels.glb                   for web pages, Blender, PowerPoint
  pulmoav surface labels.seg.dcm -o arteries.stl --values 1      for printing`;

export function addSurface(program: Command): void {
  program
    .command('surface')
    .description('write the surfaces of a label map: smoothed triangles in mm')
    .argument('<labels>', 'a label map: NIfTI, NRRD, MetaImage or a DICOM segmentation')
    .requiredOption('-o, --output <file>', 'file to write: .stl, .ply (colours) or .glb (colours and names)')
    .option('--values <list>', 'only these values, with commas between: 1,2', integers('--values'))
    .option('--overwrite', 'replace a file that is there already')
    .addHelpText('after', EXAMPLES)
    .action(async (labels: string, { json, output, values, overwrite = false }: Flags) => {
      if (!overwrite && output !== labels) refuseOld(output);
      const printer = progressPrinter();
      const options = { values, signal: interruption, onProgress: printer.onProgress };
      const parts = await writeSurface(labels, output, options).finally(printer.done);
      if (json) return printJson({ output, parts });
      for (const { value, name, voxelsMl, surfaceMl, areaCm2, triangles } of parts) {
        const volumes = `${surfaceMl.toFixed(1)} ml (voxels ${voxelsMl.toFixed(1)})`;
        say(`${value} ${name}: ${volumes}, ${areaCm2.toFixed(0)} cm², ${triangles} triangles`);
      }
      const missing = values?.filter((value) => !parts.some((part) => part.value === value)) ?? [];
      if (missing.length > 0) say(`no voxel of the label map has the value ${missing.join(', ')}`);
      if (parts.length === 0) say('The file holds no triangle.');
      say(output);
    });
}
