// Input: noise, a 96³ patch with its labels and its side channel, every augmentation applied every time, one thread. Expected: at
// least 5 times as fast as the peer. Peer: MONAI's transforms of the same kinds (--python FILE).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../machine.mjs';
import { three, within } from '../table.mjs';

export const about = 'augmenting a 96³ patch against MONAI (--python FILE)';

export async function run({ count = 9, python }) {
  if (!python) throw new Error('name an interpreter that has MONAI by --python');
  const repeats = ['--repeats', String(count)];
  const ours = row('cargo', [
    'bench',
    '--quiet',
    '--profile',
    'dev',
    '-p',
    'pulmoav-train',
    '--bench',
    'augment',
    '--',
    ...repeats,
  ]);
  const theirs = row(python, [join(root, 'benches', 'augment_monai.py'), ...repeats]);
  const ms = ({ seconds }) => three(seconds * 1000);
  return {
    peer: { monai: theirs.monai, torch: theirs.torch },
    tables: [
      {
        title: 'Augmenting a 96³ patch',
        columns: ['who', 'ms'],
        rows: [
          ['ours', ms(ours)],
          ['MONAI', ms(theirs)],
        ],
      },
    ],
    checks: [within('MONAI / ours', theirs.seconds / ours.seconds, { least: 5 })],
  };
}

function row(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ended with status ${status}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
