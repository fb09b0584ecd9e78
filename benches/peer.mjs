// Starting the peers' scripts, which print JSON lines.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The rows that a script of the peers prints; what it says of the machine is left out. */
export function peerRows(python, script, args) {
  const { status, stdout, stderr } = spawnSync(python, [script, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${script} ended with status ${status}: ${stderr}`);
  const rows = stdout.split('\n').filter((line) => line.startsWith('{'));
  return rows.map((line) => JSON.parse(line)).filter((row) => row.case !== 'machine');
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
