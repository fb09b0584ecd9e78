// Commands whose failure ends a script with one sentence.
import { spawn, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The clone. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What ends a script, said in one sentence instead of a stack. */
export class Refusal extends Error {}

/** Runs a command and gives its standard output; `cure` says what to do where it fails. */
export function output(command, args, { cure, ...options } = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
  });
  if (status === 0) return stdout;
  const reason = error?.message ?? `${stdout ?? ''}\n${stderr ?? ''}`.trim().split('\n').slice(-8).join(' ');
  throw new Refusal(`"${command} ${args.slice(0, 4).join(' ')}" failed: ${reason}${cure ? ` ${cure}` : ''}`);
}

/** Whether a command runs here. */
export function runs(command, args = ['--version']) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Runs what a script does; a refusal is one line and status 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

/** Works through a list in as many lanes as there are processors; a lane's number goes along. */
export async function inLanes(list, work) {
  const waiting = [...list];
  const lane = async (_, number) => {
    while (waiting.length > 0) await work(waiting.shift(), number);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
}

/** What a command said, once it ended well. */
export function finished(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
    child.on('error', (error) => reject(new Refusal(`${command} cannot be started: ${error.message}.`)));
    child.on('close', (status) => {
      if (status === 0) resolve(said);
      else reject(new Refusal(`"${command} ${args.at(-3)}" failed:\n${said.slice(0, 4000)}`));
    });
  });
}
