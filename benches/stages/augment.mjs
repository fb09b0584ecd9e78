// Input: noise, a 96³ patch with its labels and its side channel, every augmentation applied every time, one thread.
// Expected: at least 5 times as fast as the peer. Peer: MONAI's transforms of the same kinds (--python FILE).
import { join } from 'node:path';
import { root } from '../machine.mjs';
import { cargoBench, jsonLines } from '../processes.mjs';
import { race } from '../race.mjs';

export const about = 'augmenting a 96³ patch against MONAI (--python FILE)';

export async function run({ count = 9, python }) {
  const repeats = ['--repeats', count];
  const { seconds: ours } = cargoBench('augment', repeats).at(-1);
  const theirs = python ? jsonLines(python, [join(root, 'benches', 'augment_monai.py'), ...repeats]).at(-1) : null;
  const what = 'augmenting a 96³ patch, one thread';
  return { peer: theirs, races: [race({ what, ours, peer: 'MONAI', theirs: theirs?.seconds, least: 5 })] };
}
