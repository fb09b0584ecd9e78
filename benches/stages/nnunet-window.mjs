// Input: noise, one window of three networks of nnU-Net's at full size: a plain U-Net of 31 M parameters at 128³, one
// with a residual encoder of 102 M at 96³, and one whose first kernels are 1 × 3 × 3 at 28 × 256 × 256. Expected: at
// least 3, 3 and 2 times as fast as the peer. Peer: the same networks in PyTorch, as nnunetv2 runs them, in turn with
// ours (--python FILE).
import { join } from 'node:path';
import { root } from '../machine.mjs';
import { benchArguments, cargoBench, jsonLines, threadFlags } from '../processes.mjs';
import { race } from '../race.mjs';

export const about = 'one window of full-size nnU-Nets against PyTorch (--python FILE)';

const ROUNDS = 3;
const NETS = [
  { net: 'plain', what: 'nnU-Net, plain, 31 M, 128³', least: 3 },
  { net: 'residual', what: 'nnU-Net, residual, 102 M, 96³', least: 3 },
  { net: 'anisotropic', what: 'nnU-Net, kernels 1 × 3 × 3 first, 28 × 256 × 256', least: 2 },
];

export async function run({ threads, count = ROUNDS, python, work, say }) {
  const races = [];
  const rows = [];
  for (const { net, what, least } of NETS) {
    say(net);
    const own = cargoBench('class_unet', ['--net', net, '--repeats', count, ...threadFlags(threads)]).at(-1);
    const peers = python ? raced(net, { threads, count, python, work }) : [];
    const median = (name) => peers.find((row) => row.peer === name)?.seconds;
    const { gflop } = peers.at(-1) ?? {};
    const seconds = median('ours') ?? own.seconds;
    const share = gflop ? gflop / seconds / own.peakGflops : null;
    rows.push({ net, ...own }, ...peers.map((row) => ({ net, ...row })));
    races.push(race({ what, ours: seconds, peer: 'PyTorch', theirs: median('torch'), least, share }));
  }
  return { rows, races };
}

function raced(net, { threads, count, python, work }) {
  const size = ['--net', net, '--repeats', 1, ...threadFlags(threads)];
  const command = ['cargo', ...benchArguments('class_unet', size)].join(' ');
  const script = join(root, 'benches', 'nnunet_window_torch.py');
  const args = [
    script,
    '--net',
    net,
    '--rounds',
    count,
    ...threadFlags(threads),
    '--cmd',
    `cd '${root}' && ${command}`,
  ];
  return jsonLines(python, args, { cwd: work });
}
