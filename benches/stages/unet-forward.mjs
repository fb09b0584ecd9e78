// Input: noise, 96³, through a plain U-Net of nnU-Net's kind in our operators. Expected: at least 2.2 times as fast as
// the best PyTorch and 3 times as fast as onnxruntime, in half the memory of the least of them. Peer: PyTorch (eager,
// compiled) and onnxruntime, round by round in one run (--python FILE, --peers DIR with race.py and unet.py).
// --print-seconds prints the seconds of one warm forward pass and nothing else.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root } from '../machine.mjs';
import { cargoBench, jsonLines, peerRows, threadFlags } from '../processes.mjs';
import { memoryRaces, race } from '../race.mjs';

export const about = 'a plain U-Net forward at 96³ against PyTorch and onnxruntime (--python FILE, --peers DIR)';

const PATCH = 96;
const ROUNDS = 3;
/** Those whose memory is measured, each in a fresh process; compiling takes more and is left out. */
const MEMORY_CASES = ['torch_fwd_ncdhw', 'torch_fwd_ndhwc', 'onnxruntime_fwd'];

export async function run({ threads, count = ROUNDS, python, peers, work, printSeconds, say }) {
  const own = (repeats) => cargoBench('unet', ownSize(threads, repeats)).at(-1);
  if (printSeconds) return { print: own(1).seconds };
  const ours = own(count);
  const onnx = join(work, `unet${PATCH}.onnx`);
  if (python && !existsSync(onnx)) {
    jsonLines(python, [join(resolve(peers), 'unet.py'), '--export', onnx, '--patch', PATCH], { cwd: work });
  }
  const rows = python ? raced({ threads, count, python, peers, onnx, work }) : [];
  const median = (peer) => rows.find((row) => row.peer === peer)?.s_median ?? null;
  const torch = rows.filter((row) => row.peer.startsWith('torch')).sort((a, b) => a.s_median - b.s_median)[0];
  const seconds = median('candidate') ?? ours.seconds;
  const share = ours.gflop / seconds / ours.peakGflops;
  const size = ['--patch', PATCH, '--reps', 1, '--onnx', onnx, ...threadFlags(threads)];
  const memory = (python ? MEMORY_CASES : []).flatMap((name) => {
    say(`memory of ${name}`);
    return peerRows(python, join(resolve(peers), 'unet.py'), [...size, '--cases', name], { cwd: work });
  });
  const forward = 'U-Net forward, 96³';
  const races = [
    race({ what: forward, ours: seconds, peer: torch?.peer, theirs: torch?.s_median, least: 2.2, share }),
    race({ what: forward, ours: seconds, peer: 'onnxruntime', theirs: median('onnxruntime'), least: 3, share }),
    ...memoryRaces({ what: forward, peakBytes: ours.peakBytes, rows: memory, least: 2, leastAboveBase: 1 }),
  ];
  return { rows, memory, races };
}

function ownSize(threads, repeats) {
  return ['--json', '--patch', PATCH, '--repeats', repeats, ...threadFlags(threads)];
}

/** Ours and the peers' in turn. */
function raced({ threads, count, python, peers, onnx, work }) {
  const own = [process.execPath, join(root, 'benches', 'run.mjs'), '--only', 'unet-forward', '--print-seconds'];
  const command = [...own, ...threadFlags(threads)].map((word) => `'${word}'`).join(' ');
  const args = ['--patch', PATCH, '--rounds', count, '--onnx', onnx, ...threadFlags(threads), '--cmd', command];
  return peerRows(python, join(resolve(peers), 'race.py'), args, { cwd: work }).filter((row) => row.case === 'race');
}
