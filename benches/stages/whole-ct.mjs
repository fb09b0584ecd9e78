// Input: the peers' chest of 512 × 512 × 400 voxels. Expected: with the same network, the same windows (half overlap,
// everywhere), linear resampling on both sides and nothing after it at least 3 times as fast as the peer from file to file; with our defaults (windows only where
// vessels are kept) at least 4 times as fast as that, and Dice within 0.002 of it on test phantoms. The peer's labels and
// ours for the same windows agree (Dice), and so do our two ways. Peer: nnU-Net's way
// with torch.compile, skimage and nibabel (--python FILE, --peers DIR), some minutes; a --count of 0 leaves the
// phantoms out.
import { join } from 'node:path';
import { evaluate, segmentToFile } from '../../dist/index.js';
import { modelFacts, root } from '../machine.mjs';
import { testPhantoms } from '../phantoms.mjs';
import { jsonLines, peerVolumes, threadFlags } from '../processes.mjs';
import { race } from '../race.mjs';
import { mean, significant, three, within } from '../table.mjs';
import { variant } from '../variant.mjs';

export const about =
  'a whole CT to labels against nnU-Net’s way, and our defaults against all windows (--python FILE, --count N phantoms)';

const PHANTOMS = 4;

export async function run({ work, shared, model: asked, threads, count = PHANTOMS, python, peers, say }) {
  const { path, facts: model } = await modelFacts(asked);
  const everywhere = variant(path, join(work, 'everywhere'), allWindows);
  const equal = variant(path, join(work, 'equal'), (plan) => ({
    ...allWindows(plan),
    walls: null,
    postprocess: false,
  }));
  const ct = join(peerVolumes({ python, peers, shared, say }), 'ct.nii.gz');
  const segment = (name, input, models) => segmented({ name, input, model: models, threads, work, say });
  const same = await segment('as the peer', ct, equal);
  const theirs = peer({ python, equal, ct, threads, work, say });
  const all = await segment('all windows', ct, everywhere);
  const ours = await segment('our defaults', ct, path);
  const agreement = theirs ? diceOf(await evaluate(same.output, join(work, 'peer.nii.gz'))) : null;
  const cases = [];
  for (const { name, image, label } of (await testPhantoms({ shared, say }, count)).slice(0, count)) {
    const dice = {};
    const outputs = {};
    for (const [way, models] of Object.entries({ defaults: path, everywhere })) {
      const { output } = await segment(`${name}, ${way}`, image, models);
      dice[way] = diceOf(await evaluate(output, label));
      outputs[way] = output;
    }
    cases.push({ name, ...dice, between: diceOf(await evaluate(outputs.defaults, outputs.everywhere)) });
  }
  const gflop = theirs?.gflop ?? null;
  const parts = ({ seconds, windows, tile = [96, 96, 96] }) => [
    windows,
    tile.join(' × '),
    // The network's arithmetic grows with the voxels that it sees.
    gflop === null ? null : significant((windows * gflop * (tile[0] * tile[1] * tile[2])) / 96 ** 3 / 1000),
    ...['prepare', 'network', 'restore', 'total'].map((part) => three(seconds[part])),
  ];
  const { read, resample, network, restore, total } = theirs?.seconds ?? {};
  const rows = [
    ['ours, as the peer', ...parts(same)],
    ['ours, all windows', ...parts(all)],
    ['ours, defaults', ...parts(ours)],
    ...(theirs
      ? [['peer', ...parts({ ...theirs, seconds: { prepare: read + resample, network, restore, total } })]]
      : []),
  ];
  const differences = ['artery', 'vein'].map((target) =>
    mean(cases.map((one) => one.defaults[target] - one.everywhere[target])),
  );
  const between = ['artery', 'vein'].map((target) => mean(cases.map((one) => one.between[target])));
  return {
    model,
    cases,
    agreement,
    peer: theirs,
    tables: [
      {
        title: '512 × 512 × 400 to labels',
        columns: ['who', 'windows', 'of voxels', 'TFLOP', 'prepare s', 'network s', 'restore s', 'total s'],
        rows,
      },
      ...(cases.length > 0 ? [diceTable(cases)] : []),
    ],
    races: [
      race({
        what: 'whole 512 × 512 × 400 CT to labels, same network, windows and steps',
        ours: same.seconds.total,
        peer: 'torch.compile + skimage + nibabel',
        theirs: theirs?.seconds.total ?? null,
        least: 3,
      }),
      race({
        what: 'the same CT, our defaults',
        ours: ours.seconds.total,
        peer: 'ours, all windows',
        theirs: all.seconds.total,
        least: 4,
      }),
    ],
    checks: ['artery', 'vein'].flatMap((target, at) => [
      ...(agreement
        ? [within(`Dice of ${target}, ours and the peer's labels`, agreement[target], { least: 0.95 })]
        : []),
      ...(cases.length > 0
        ? [
            within(`Dice of ${target}, defaults − all windows`, differences[at], { least: -0.002 }),
            within(`Dice of ${target} between defaults and all windows`, between[at], { least: 0.95 }),
          ]
        : []),
    ]),
  };
}

/** Every window at half overlap, of one size, nothing skipped, nothing mirrored. */
function allWindows(plan) {
  const tiles = { ...plan.tiles, overlap: 0.5, skipEmpty: false, mirror: false, fit: false };
  return { ...plan, crop: { kind: 'none' }, tiles };
}

async function segmented({ name, input, model, threads, work, say }) {
  say(name);
  const output = join(work, `${name.replaceAll(/\W+/g, '-')}.nii.gz`);
  let windows = 0;
  const onProgress = ({ stage, total }) => {
    if (stage === 'network') windows = total;
  };
  const start = performance.now();
  const report = await segmentToFile({ input, output, model, threads }, { onProgress });
  const total = (performance.now() - start) / 1000;
  return { output, windows, tile: report.tile, seconds: { ...report.seconds, total } };
}

function peer({ python, equal, ct, threads, work, say }) {
  if (!python) return null;
  say('the peer');
  const script = join(root, 'benches', 'whole_ct_torch.py');
  const labels = join(work, 'peer.nii.gz');
  return jsonLines(python, [script, equal, ct, labels, ...threadFlags(threads)], { cwd: work }).at(-1);
}

function diceOf(scores) {
  return Object.fromEntries(Object.entries(scores).map(([target, { dice }]) => [target, dice]));
}

function diceTable(cases) {
  const columns = ['phantom', 'artery, defaults', 'all windows', 'vein, defaults', 'all windows'];
  const rows = cases.map(({ name, defaults, everywhere }) =>
    [name].concat(['artery', 'vein'].flatMap((target) => [three(defaults[target]), three(everywhere[target])])),
  );
  return { title: 'Dice, whole volume', columns, rows };
}
