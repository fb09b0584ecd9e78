import type { Command } from 'commander';
import { writeSurface } from '../surface.js';
import { interruption } from './exit.js';
import { integers } from './flags.js';
import { printJson, progressPrinter, say } from './output.js';

interface Flags {
  json?: boolean;
  output: string;
  values?: number[];
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
    .addHelpText('after', EXAMPLES)
    .action(async (labels: string, { json, output, values }: Flags) => {
      const printer = progressPrinter();
      const options = { values, signal: interruption, onProgress: printer.onProgress };
      const parts = await writeSurface(labels, output, options).finally(printer.done);
      if (json) return printJson({ output, parts });
      for (const { value, name, voxelsMl, surfaceMl, areaCm2, triangles } of parts) {
        const volumes = `${surfaceMl.toFixed(1)} ml (voxels ${voxelsMl.toFixed(1)})`;
        say(`${value} ${name}: ${volumes}, ${areaCm2.toFixed(0)} cm², ${triangles} triangles`);
      }
      if (parts.length === 0) say('The label map has none of these values; the file holds no triangle.');
      say(output);
    });
}
