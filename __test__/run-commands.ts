import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { pulmoav } from '../dist/cli/program.js';

/** How a command ended. */
export interface CommandEnd {
  status: number;
  problem: string;
  seconds: number;
}

/**
 * Runs commands one after the other in this process, so that models are loaded once: `node run-commands.js ENDS COMMANDS`,
 * where COMMANDS is a JSON list of lists of arguments. How they ended goes into the file ENDS. Each is run as if it were
 * the first to write its label map.
 */
async function main(ends: string, commands: string[][]): Promise<void> {
  const ended: CommandEnd[] = [];
  for (const args of commands) {
    const output = args[args.indexOf('-o') + 1];
    if (args[0] === 'segment' && output && existsSync(output)) rmSync(output);
    const begun = performance.now();
    process.exitCode = 0;
    let problem = '';
    try {
      const program = pulmoav();
      for (const command of [program, ...program.commands]) command.exitOverride();
      await program.parseAsync(args, { from: 'user' });
    } catch (error) {
      problem = String(error);
    }
    const status = problem ? 1 : Number(process.exitCode ?? 0);
    ended.push({ status, problem, seconds: (performance.now() - begun) / 1000 });
  }
  process.exitCode = 0;
  writeFileSync(ends, JSON.stringify(ended));
}

const [, , ends, commands] = process.argv;
if (ends && commands) await main(ends, JSON.parse(commands) as string[][]);
