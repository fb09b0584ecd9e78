// Input: noise in the layers of a plain U-Net at 96³ and of the tiny network at 64³. Expected: 3 × 3 × 3 taps with
// stride 1 from 32 channels on at least 2.2 times as fast as the peer forward and in the input gradient, 5 times in the
// weight gradient; the other layers twice as fast; every pass of the tiny network as fast or faster. Peer: PyTorch, the
// same layers in the same run, each pass in the layout that is quicker for it (--python FILE names an interpreter that
// has torch).
import { join } from 'node:path';
import { root } from '../machine.mjs';
import { cargoBench, jsonLines, threadFlags } from '../processes.mjs';
import { race } from '../race.mjs';
import { significant } from '../table.mjs';

export const about = 'convolutions of a U-Net and of the tiny network against PyTorch (--python FILE, --threads N)';

const PASSES = ['forward', 'input gradient', 'weight gradient'];
const [FORWARD, INPUT, WEIGHT] = [0, 1, 2];
const SETS = {
  unet: ['--set', 'unet', '--patch', 96, '--batch', 1],
  tiny: ['--set', 'tiny', '--patch', 64, '--batch', 2],
};

export async function run({ threads, python, say }) {
  const sets = Object.entries(SETS).map(([set, size]) => measured(set, size, { threads, python, say }));
  const [unet, tiny] = sets;
  const wide = ({ layer }) => !/^(up|stem|head)| s2$/.test(layer);
  const small = (row) => !wide(row);
  const one = (what, least, { layers, peak }, chosen, passes) => {
    const cells = layers.filter(chosen).flatMap((row) => passes.map((pass) => cell(row, pass)));
    const known = cells.filter(({ needed }) => needed);
    const total = (key) => known.reduce((sum, each) => sum + each[key], 0);
    const share = total('gflop') / total('ours') / peak;
    return race({ what, least, ours: total('ours'), peer: 'PyTorch', theirs: python ? total('theirs') : null, share });
  };
  const all = () => true;
  const races = [
    one('conv3d 3³ stride 1, forward', 2.2, unet, wide, [FORWARD]),
    one('conv3d 3³ stride 1, input gradient', 2.2, unet, wide, [INPUT]),
    one('conv3d 3³ stride 1, forward + input gradient', 2.2, unet, wide, [FORWARD, INPUT]),
    one('conv3d 3³ stride 1, weight gradient', 5, unet, wide, [WEIGHT]),
    one('stem, 1³, 2³ up, stride 2, all passes', 2, unet, small, [FORWARD, INPUT, WEIGHT]),
    ...PASSES.map((name, pass) => one(`all layers of tiny, ${name}`, 1, tiny, all, [pass])),
  ];
  return { sets, races, tables: sets.map(layerTable) };
}

/** A pass of a layer; a stem's input gradient is never needed. */
function cell({ layer, gflop, ours, theirs }, pass) {
  const needed = !(pass === INPUT && layer.startsWith('stem'));
  return { needed, gflop, ours: ours[pass], theirs: theirs?.[pass] };
}

/** Ours, theirs, ours again: each pass counts with the best of its medians, so that a slow minute harms neither. */
function measured(set, size, { threads, python, say }) {
  const args = [...size, ...threadFlags(threads)];
  const own = () => cargoBench('conv3d', [...args, '--json']);
  say(`${set}: ours`);
  const first = own();
  if (!python) say('no --python: the peer is left out');
  const theirs = python ? jsonLines(python, [join(root, 'crates/ops/benches/conv3d_torch.py'), ...args]) : [];
  const second = python ? own() : first;
  const peak = Math.max(first[0].peakGflops, second[0].peakGflops);
  const layers = first.slice(1).map((row, place) => ({
    layer: row.layer,
    gflop: row.gflop,
    ours: row.seconds.map((s, pass) => Math.min(s, second[place + 1].seconds[pass])),
    theirs: theirs.find((other) => other.layer === row.layer)?.seconds,
  }));
  return { set, torch: theirs[0]?.torch, peak, layers };
}

function layerTable({ set, peak, layers }) {
  const columns = ['layer', 'GFLOP', ...PASSES.map((p) => `${p} ms`), ...PASSES.map((p) => `torch / ours, ${p}`)];
  const rows = layers.map(({ layer, gflop, ours, theirs }) => {
    const ratios = ours.map((s, pass) => (theirs ? significant(theirs[pass] / s) : null));
    return [layer, significant(gflop), ...ours.map((s) => significant(s * 1000)), ...ratios];
  });
  return { title: `Layers of ${set}; multiply-add peak ${Math.round(peak)} GFLOP/s`, columns, rows };
}
