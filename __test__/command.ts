import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root } from './fixture.js';

/** How a command ended. */
export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Starts `pulmoav` with these arguments. */
export function start(args: string[], cwd?: string): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text;
    });
  }
  return { child, ended: once(child, 'close').then(([status]) => ({ status: status as number | null, ...said })) };
}

/** Runs `pulmoav` to its end. */
export const pulmoav = (...args: string[]): Promise<Ended> => start(args).ended;

/** The one object that `--json` promises, with its version first. */
export function object({
  stdout,
}: Ended): Record<string, never> & { error?: { code: string; message: string; hint: string | null } } {
  if (!/^\{"schemaVersion":1[,}].*\}\n$/.test(stdout)) throw new Error(`not one object: ${stdout}`);
  return JSON.parse(stdout);
}
