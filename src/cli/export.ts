import type { Command } from 'commander';
import { exportCheckpoint } from '../export.js';
import { interruption } from './exit.js';
import { printJson, say } from './output.js';

interface Flags {
  json?: boolean;
  out: string;
}

export function addExport(program: Command): void {
  program
    .command('export')
    .description("write a la-caf model's weights under their PyTorch names")
    .argument('<model>', 'model name or directory')
    .requiredOption('-o, --out <file>', 'file to write, .safetensors')
    .action(async (model: string, { json, out }: Flags) => {
      const report = await exportCheckpoint({ model, out, signal: interruption });
      if (json) return printJson(report);
      say(`${report.output}: ${report.tensors} tensors, ${report.parameters} numbers`);
    });
}
