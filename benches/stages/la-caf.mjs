// Input: noise, one 96³ patch with four prompts, through the published network at full width. Expected: at least 3
// times as fast as PyTorch. Peer: a second implementation in PyTorch, eager in both layouts and compiled, in turn with
// ours (--python FILE).
import { join } from 'node:path';
import { root } from '../machine.mjs';
import { benchArguments, cargoBench, jsonLines, threadFlags } from '../processes.mjs';
import { race } from '../race.mjs';

export const about = 'la-caf forward at 96³ against PyTorch (--python FILE)';

const ROUNDS = 3;

export async function run({ threads, count = ROUNDS, python, work }) {
  const own = cargoBench('la_caf', ['--repeats', count, ...threadFlags(threads)]).at(-1);
  const rows = python ? raced({ threads, count, python, work }) : [];
  const { gflop } = rows.at(-1) ?? {};
  const seconds = rows.find((row) => row.peer === 'ours')?.seconds ?? own.seconds;
  const theirs = rows.filter((row) => row.peer?.startsWith('torch')).sort((a, b) => a.seconds - b.seconds)[0];
  const share = gflop ? gflop / seconds / own.peakGflops : null;
  const what = 'la-caf forward, 96³';
  return {
    peakGib: own.peakBytes / 2 ** 30,
    rows,
    races: [race({ what, ours: seconds, peer: theirs?.peer, theirs: theirs?.seconds, least: 3, share })],
  };
}

function raced({ threads, count, python, work }) {
  const command = ['cargo', ...benchArguments('la_caf', ['--repeats', 1, ...threadFlags(threads)])].join(' ');
  const script = join(root, 'benches', 'la_caf_torch.py');
  const inRoot = `cd '${root}' && ${command}`;
  return jsonLines(python, [script, '--rounds', count, ...threadFlags(threads), '--cmd', inRoot], { cwd: work });
}
