// The plain U-Net in our operators, timed by the bench of crates/ops.
import { spawnSync } from 'node:child_process';
import { root } from './machine.mjs';

/** Median seconds of warm passes at `patch`³ and the process's peak memory in bytes. */
export function ownUnet({ patch, threads, repeats, train = false }) {
  const size = ['--patch', patch, '--repeats', repeats, ...(threads ? ['--threads', threads] : [])].map(String);
  const bench = ['bench', '--quiet', '--profile', 'dev', '-p', 'pulmoav-ops', '--bench', 'unet', '--', '--json'];
  const args = [...bench, ...size, ...(train ? ['--train'] : [])];
  const { status, stdout, stderr } = spawnSync('cargo', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`cargo ended with status ${status}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
