// Programs that print JSON lines: ours of `cargo bench`, the peers' in Python.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root } from './machine.mjs';

/** The JSON lines that a program prints. */
export function jsonLines(command, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(command, args.map(String), {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    ...options,
  });
  if (status !== 0) throw new Error(`${command} ${args[0]} ended with status ${status}: ${stderr}`);
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line));
}

/** The arguments of cargo that start one of our Rust benches. The whole workspace, or candle would be compiled anew for each crate's features. */
export function benchArguments(bench, args) {
  return ['bench', '--quiet', '--workspace', '--profile', 'dev', '--bench', bench, '--', ...args];
}

/** The JSON lines of one of our Rust benches. */
export function cargoBench(bench, args) {
  return jsonLines('cargo', benchArguments(bench, args), { cwd: root });
}

/** The rows that a script of the peers prints; what it says of the machine is left out. */
export function peerRows(python, script, args, options) {
  return jsonLines(python, [script, ...args], options).filter((row) => row.case !== 'machine');
}

/** `['--threads', n]` where a number of threads was asked for. */
export function threadFlags(threads) {
  return threads === undefined ? [] : ['--threads', threads];
}

/** The folder with the peers' chest of 512 × 512 × 400 voxels (`ct.nii.gz`) and its labels (`gt.nii.gz`), made once. */
export function peerVolumes({ python, peers, shared, say }) {
  if (!python) throw new Error('the peer makes the volumes: name an interpreter with nibabel and scipy by --python');
  const data = join(shared, '..', 'volumes');
  if (!existsSync(join(data, 'pred.nii.gz'))) {
    say('making a volume of 512 × 512 × 400');
    mkdirSync(data, { recursive: true });
    peerRows(python, join(resolve(peers), 'synth.py'), ['--out', data]);
  }
  return data;
}
