import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { inFolder, writeAtomic } from '../files.js';
import { phantom } from '../phantom.js';
import { preview } from '../report/preview.js';
import { segmentToFile } from '../segment-file.js';
import { readVolume } from '../volume.js';
import { interruption } from './exit.js';
import { printJson, progressPrinter, readableBytes, say, sayWarnings } from './output.js';

/** A seed far from those of the training phantoms. */
const DEMO_SEED = 900_001;

interface Flags {
  json?: boolean;
  out: string;
  device: string;
}

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('run the whole job once, on a scan or on a phantom, and draw the result')
    .argument('[scan]', 'a chest CT; without one a phantom is made')
    .option('-o, --out <dir>', 'where to write', 'pulmoav-demo')
    .option('--device <device>', 'auto, cpu or cuda[:N]', 'auto')
    .action(async (scan: string | undefined, { json, out, device }: Flags) => {
      const printer = progressPrinter();
      const options = { signal: interruption, onProgress: printer.onProgress };
      await inFolder(out, async () => {
        const input = scan ?? (await makePhantom(out));
        const output = join(out, 'labels.nii.gz');
        const report = await segmentToFile({ input, output, device }, options).finally(printer.done);
        const picture = join(out, 'preview.png');
        const [ct, labels] = await Promise.all([readVolume(input), readVolume(output)]);
        await writeAtomic(picture, preview(ct, labels));
        if (json) return printJson({ ...report, input, picture });
        for (const { name, volumeMl } of report.targets) say(`${name}: ${volumeMl.toFixed(1)} ml`);
        say(`${report.seconds.total.toFixed(1)} s, at most ${readableBytes(report.memory.peakBytes)} of memory`);
        sayWarnings(report.warnings);
        say(`scan:    ${resolve(input)}\nlabels:  ${resolve(output)}\npicture: ${resolve(picture)}`);
      });
    });
}

async function makePhantom(out: string): Promise<string> {
  say('No scan was given, so a phantom chest CT is made (give one with: npm start -- SCAN.nii.gz).');
  const [made] = await phantom({ out: join(out, 'phantom'), seed: DEMO_SEED, signal: interruption });
  return made?.image ?? '';
}
