import type { Command } from 'commander';
import { doctor } from '../inspect.js';
import type { DeviceProbe } from '../native/binding.js';
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
      const { path, cuda } = health.addon;
      say(`addon: ${path}, ${cuda ? 'with CUDA code' : 'CPU code only'}`);
      if (health.cuda) sayCuda(health.cuda);
      for (const { name, usable, reason } of health.devices)
        say(`${name}: ${usable ? 'usable' : `not usable: ${reason}`}`);
      say(`bundled model: ${health.bundledModel.present ? 'present' : 'MISSING'} (${health.bundledModel.path})`);
    });
}

/** What a user needs to see why a GPU is used or not. */
function sayCuda({ driver, libraries, cards }: DeviceProbe): void {
  say(`CUDA driver: ${driver === null ? 'none' : `up to CUDA ${driver}`}`);
  for (const { name, optional, found, problem } of libraries)
    say(`  ${name}${optional ? ' (optional)' : ''}: ${found ?? `not found: ${problem}`}`);
  for (const { number, name, capability, totalBytes, freeBytes } of cards) {
    const free = freeBytes === null ? '' : `, ${readableBytes(freeBytes)} free`;
    say(`  card ${number}: ${name}, compute capability ${capability}, ${readableBytes(totalBytes)} memory${free}`);
  }
}
