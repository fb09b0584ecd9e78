// Input: noise in the layers of the tiny network. Expected: as fast as the peer or faster. Peer: PyTorch, the same layers in
// the same run (--python FILE names an interpreter that has torch).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../machine.mjs';
import { three, within } from '../table.mjs';

export const about = 'convolutions of the tiny network against PyTorch (--python FILE, --threads N)';

const PASSES = ['forward', 'input gradient', 'weight gradient'];

export async function run({ threads = 1, python, say }) {
  const size = ['--threads', String(threads)];
  const bench = ['bench', '--profile', 'dev', '-p', 'pulmoav-ops', '--bench', 'conv3d', '--', ...size];
  const ours = layers(lines('cargo', bench));
  if (!python) say('no --python: the peer is left out');
  const peer = python ? layers(lines(python, [join(root, 'crates/ops/benches/conv3d_torch.py'), ...size])) : null;
  const rows = Object.entries(ours).map(([name, times]) => {
    const ratios = times.map((ms, pass) => (peer?.[name] ? three(peer[name][pass] / ms) : null));
    return [name, ...times, ...ratios];
  });
  const columns = ['layer', ...PASSES.map((pass) => `${pass} ms`), ...PASSES.map((pass) => `torch / ours, ${pass}`)];
  const checks = peer
    ? PASSES.map((pass, at) =>
        within(`torch / ours over all layers, ${pass}`, peer.sum[at] / ours.sum[at], { least: 1 }),
      )
    : [];
  return { threads, ours, peer, tables: [{ title: 'Convolutions', columns, rows }], checks };
}

function lines(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ended with status ${status}: ${stderr}`);
  return stdout.split('\n');
}

/** Milliseconds of the three passes by layer, from rows `name gflop | a ms … | b ms … | c ms …`. */
function layers(text) {
  const rows = text.map((line) => line.split('|')).filter((cells) => cells.length === 4 && cells[1].includes(' ms '));
  return Object.fromEntries(
    rows.map(([head, ...cells]) => [head.replace(/\s+[\d.]+\s*$/, '').trim(), cells.map(Number.parseFloat)]),
  );
}
