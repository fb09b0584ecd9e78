// Input: noise on 512 × 512 × 400 voxels of 0.7 × 0.7 × 0.8 mm (the peers: their chest on the same grid). Expected: to
// 1 mm linearly at least 12 times as fast as PyTorch, by cubic splines 50 times as fast as skimage; probabilities back
// to the scan's grid with the decision 50 times as fast as PyTorch. Peers: torch.nn.functional.interpolate,
// skimage.transform.resize (--python FILE, --peers DIR with synth.py and resample.py). Both carry three maps. The
// ceiling is what must be read and written, once, at the pace of a copy.
import { join, resolve } from 'node:path';
import { peak } from '../peak.mjs';
import { cargoBench, peerRows, peerVolumes, threadFlags } from '../processes.mjs';
import { race } from '../race.mjs';

export const about = 'resampling to 1 mm and back against PyTorch and skimage (--python FILE, --peers DIR)';

/** Times each is run after one that warms it up; the best counts on both sides. */
const ROUNDS = 3;
/** Our case, the peer's, and how many times as fast we mean to be. */
const CASES = [
  ['to 1 mm, order 1', 'torch_trilinear', 12],
  ['to 1 mm, order 3', 'skimage_o3', 50],
  ['probabilities back and decided', 'logits_back_torch', 50],
];

export async function run({ shared, threads, count = ROUNDS, python, peers, say }) {
  const data = peerVolumes({ python, peers, shared, say });
  const own = cargoBench('resample', ['--repeats', count, ...threadFlags(threads)]);
  const { copyGbps } = peak(threads);
  const script = join(resolve(peers), 'resample.py');
  const races = CASES.map(([what, peer, least]) => {
    say(`${peer} of the peers`);
    const theirs = peerRows(python, script, ['--data', data, '--cases', peer, '--reps', count])[0].s_best;
    const { seconds: ours, gigabytes } = own.find((row) => row.case === what);
    return race({ what, ours, peer, theirs, least, share: gigabytes / ours / copyGbps });
  });
  return { copyGbps, races };
}
