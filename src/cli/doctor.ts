import type { Command } from 'commander';
import { doctor } from '../inspect.js';
import type { DeviceProbe } from '../native/binding.js';
import { printJson, printLine, readableBytes } from './output.js';

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('say what this installation can do')
    .action((options: { json?: boolean }) => {
      const health = doctor();
      if (options.json) return printJson(health);
      printLine(`pulmoav ${health.version}, Node ${health.node}, ${health.platform}`);
      printLine(`${health.threads} threads, ${readableBytes(health.memoryBytes)} memory, SIMD ${health.simd}`);
      const { path, cuda } = health.addon;
      printLine(`addon: ${path}, ${cuda ? 'with CUDA code' : 'CPU code only'}`);
      if (health.cuda) sayCuda(health.cuda);
      for (const { name, usable, reason } of health.devices)
        printLine(`${name}: ${usable ? 'usable' : `not usable: ${reason}`}`);
      printLine(`bundled model: ${health.bundledModel.present ? 'present' : 'MISSING'} (${health.bundledModel.path})`);
    });
}

/** What a user needs to see why a GPU is used or not. */
function sayCuda({ driver, libraries, cards }: DeviceProbe): void {
  printLine(`CUDA driver: ${driver === null ? 'none' : `up to CUDA ${driver}`}`);
  for (const { name, optional, found, problem } of libraries)
    printLine(`  ${name}${optional ? ' (optional)' : ''}: ${found ?? `not found: ${problem}`}`);
  for (const { number, name, capability, totalBytes, freeBytes } of cards) {
    const free = freeBytes === null ? '' : `, ${readableBytes(freeBytes)} free`;
    printLine(
      `  card ${number}: ${name}, compute capability ${capability}, ${readableBytes(totalBytes)} memory${free}`,
    );
  }
}
