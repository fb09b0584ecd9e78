// Input: noise on 512 × 512 × 400 voxels of 0.7 × 0.7 × 0.8 mm (the peers: their chest on the same grid). Expected: to 1 mm
// linearly at least 12 times as fast as PyTorch, by cubic splines 50 times as fast as skimage; probabilities back to the scan's grid
// with the decision 50 times as fast as PyTorch. Peers: torch.nn.functional.interpolate, skimage.transform.resize
// (--python FILE, --peers DIR with synth.py and resample.py). Both carry three maps.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { root } from '../machine.mjs';
import { peerRows, peerVolumes } from '../peer.mjs';
import { three, within } from '../table.mjs';

export const about = 'resampling to 1 mm and back against PyTorch and skimage (--python FILE, --peers DIR)';

/** Our case, the peer's, and how many times as fast we mean to be. */
const CASES = [
  ['to 1 mm, order 1', 'torch_trilinear', 12],
  ['to 1 mm, order 3', 'skimage_o3', 50],
  ['probabilities back and decided', 'logits_back_torch', 50],
];

export async function run({ shared, threads, python, peers, say }) {
  const data = peerVolumes({ python, peers, shared, say });
  const ours = Object.fromEntries(own(threads).map(({ case: name, seconds }) => [name, seconds]));
  const script = join(resolve(peers), 'resample.py');
  const rows = CASES.map(([name, peer, least]) => {
    say(`${peer} of the peers`);
    const theirs = peerRows(python, script, ['--data', data, '--cases', peer, '--reps', '1'])[0].s_best;
    return { name, peer, least, ours: ours[name], theirs, ratio: three(theirs / ours[name]) };
  });
  const columns = ['what', 'ours s', 'peer', 'peer s', 'peer / ours'];
  return {
    tables: [
      {
        title: 'Resampling, 512 × 512 × 400',
        columns,
        rows: rows.map((row) => [row.name, three(row.ours), row.peer, three(row.theirs), row.ratio]),
      },
    ],
    checks: rows.map(({ name, peer, least, ratio }) => within(`${peer} / ours, ${name}`, ratio, { least })),
  };
}

function own(threads) {
  const size = threads ? ['--threads', String(threads)] : [];
  const bench = ['bench', '--quiet', '--profile', 'dev', '-p', 'pulmoav-segment', '--bench', 'resample', '--', ...size];
  const { status, stdout, stderr } = spawnSync('cargo', bench, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`cargo ended with status ${status}: ${stderr}`);
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line));
}
