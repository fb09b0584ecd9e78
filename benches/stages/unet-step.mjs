// Input: noise, 96³, through a plain U-Net of nnU-Net's kind and back, in our operators. Expected: at least 4 times as fast as
// PyTorch's better layout, in at most 0.55 of its memory. Peer: PyTorch eager (--python FILE, --peers DIR with unet.py); its step
// has a loss, momentum and clipping, ours a given gradient of the logits and plain descent: a hundredth of either's time.
import { join, resolve } from 'node:path';
import { peerRows } from '../peer.mjs';
import { three, within } from '../table.mjs';
import { ownUnet } from '../unet.mjs';

export const about = 'a training step of a plain U-Net at 96³ against PyTorch (--python FILE, --peers DIR)';

const PATCH = 96;
const CASES = ['torch_step_ncdhw', 'torch_step_ndhwc'];

export async function run({ threads, count = 2, python, peers, say }) {
  const size = ['--patch', PATCH, '--reps', count, ...(threads ? ['--threads', threads] : [])].map(String);
  const script = join(resolve(peers), 'unet.py');
  const theirs = CASES.flatMap((name) => {
    if (!python) return [];
    say(name);
    return peerRows(python, script, [...size, '--case', name]);
  });
  const ours = ownUnet({ patch: PATCH, threads, repeats: count, train: true });
  const gib = (bytes) => three(bytes / 2 ** 30);
  const rows = [
    ['ours', three(ours.seconds), gib(ours.peakBytes)],
    ...theirs.map((row) => [row.case, three(row.s_median), three(row.peak_rss_gib)]),
  ];
  const least = (key) => Math.min(...theirs.map((row) => row[key]));
  return {
    tables: [{ title: `U-Net training step, ${PATCH}³`, columns: ['who', 's', 'peak GiB'], rows }],
    checks: python
      ? [
          within('best torch / ours', least('s_median') / ours.seconds, { least: 4 }),
          within('our memory / least of torch', gib(ours.peakBytes) / least('peak_rss_gib'), { most: 0.55 }),
        ]
      : [],
  };
}
