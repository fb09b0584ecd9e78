import type { Command } from 'commander';
import { doctor } from '../inspect.js';
import { printJson, readableBytes, say } from './output.js';

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('say what this installation can do')
    .action((options: { json?: boolean }) => {
      const health = doctor();
      if (options.json) return printJson(health);
      say(`pulmoav ${health.version}, Node ${health.node}, ${health.platform}`);
      say(`${health.threads} threads, ${readableBytes(health.memoryBytes)} memory, SIMD ${health.simd}`);
      for (const { name, usable, reason } of health.devices)
        say(`${name}: ${usable ? 'usable' : `not usable: ${reason}`}`);
      say(`bundled model: ${health.bundledModel.present ? 'present' : 'MISSING'} (${health.bundledModel.path})`);
    });
}
