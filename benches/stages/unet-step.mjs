// Input: noise, 96³, through a plain U-Net of nnU-Net's kind and back, in our operators. Expected: at least 4 times as
// fast as PyTorch's better layout, in at most 0.55 of its memory. Peer: PyTorch eager (--python FILE, --peers DIR with
// unet.py); its step has a loss, momentum and clipping, ours a given gradient of the logits and plain descent: a
// hundredth of either's time.
import { join, resolve } from 'node:path';
import { cargoBench, peerRows, threadFlags } from '../processes.mjs';
import { memoryRaces, race } from '../race.mjs';

export const about = 'a training step of a plain U-Net at 96³ against PyTorch (--python FILE, --peers DIR)';

const PATCH = 96;
const CASES = ['torch_step_ncdhw', 'torch_step_ndhwc'];

export async function run({ threads, count = 3, python, peers, work, say }) {
  const script = join(resolve(peers), 'unet.py');
  const size = ['--patch', PATCH, '--reps', count, ...threadFlags(threads)];
  const theirs = CASES.flatMap((name) => {
    if (!python) return [];
    say(name);
    return peerRows(python, script, [...size, '--case', name], { cwd: work });
  });
  const own = ['--json', '--train', '--patch', PATCH, '--repeats', count, ...threadFlags(threads)];
  const ours = cargoBench('unet', own).at(-1);
  const fast = theirs.toSorted((a, b) => a.s_median - b.s_median)[0];
  const what = 'U-Net training step, 96³';
  const races = [
    race({
      what,
      ours: ours.seconds,
      peer: fast?.case,
      theirs: fast?.s_median,
      least: 4,
      share: ours.gflop / ours.seconds / ours.peakGflops,
    }),
    ...memoryRaces({ what, peakBytes: ours.peakBytes, rows: theirs, least: 1 / 0.55, leastAboveBase: 1 }),
  ];
  return { theirs, races };
}
