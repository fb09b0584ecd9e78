// Input: the peers' chest of 512 × 512 × 400 voxels, and a PlainConvUNet of 31 M random parameters at 2.5 mm in nnU-Net's
// own folder (8 windows of 128³). Expected: from file to file, without mirroring, at least 3 times as fast as the peer, in
// at most half of its memory, as predicted before, and the same labels but for 0.01 % of the voxels. Peer: nnunetv2 on
// the CPU (--python FILE, --peers DIR).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readVolume, segmentToFile } from '../../dist/index.js';
import { root } from '../machine.mjs';
import { jsonLines, peerVolumes, threadFlags } from '../processes.mjs';
import { race } from '../race.mjs';
import { three, within } from '../table.mjs';

export const about =
  'a whole CT through nnU-Net’s own full-size network, file to file, against nnunetv2 (--python FILE)';

const SCRIPT = join(root, 'benches', 'nnunet_torch.py');

export async function run({ work, shared, threads, python, peers, say }) {
  if (!python) throw new Error('the peer makes the model: name an interpreter with torch and nnunetv2 by --python');
  const model = join(work, 'nnUNetTrainer__nnUNetPlans__3d_fullres');
  if (!existsSync(join(model, 'fold_0'))) jsonLines(python, [SCRIPT, 'make', model]);
  const ct = join(peerVolumes({ python, peers, shared, say }), 'ct.nii.gz');
  const [ours, theirs] = [join(work, 'ours.nii.gz'), join(work, 'theirs.nii.gz')];
  say('ours');
  const report = await segmentToFile({ input: ct, output: ours, model, mirror: false, threads });
  say('nnunetv2');
  const [peer] = jsonLines(python, [SCRIPT, 'predict', model, ct, theirs, ...threadFlags(threads)]).slice(-1);
  const peerSeconds = peer.seconds.load + peer.seconds.predict;
  const races = [
    race({
      what: 'nnU-Net, 31 M, file to file',
      ours: report.seconds.total,
      peer: 'nnunetv2',
      theirs: peerSeconds,
      least: 3,
    }),
    race({
      what: 'the same, peak memory',
      unit: 'GiB',
      ours: report.memory.peakBytes / 2 ** 30,
      peer: 'nnunetv2',
      theirs: peer.peak_rss_gib,
      least: 2,
    }),
  ];
  const { load, prepare, network, restore, write, total } = report.seconds;
  const rows = [
    ['ours', ...[load, prepare, network, restore, write, total].map(three)],
    ['nnunetv2', three(peer.seconds.load), null, null, null, null, three(peerSeconds)],
  ];
  const differ = await differingShare(ours, theirs);
  const predicted = report.memory.predictedBytes / report.memory.peakBytes;
  return {
    races,
    differ,
    tables: [{ title: 'Seconds', columns: ['who', 'load', 'prepare', 'network', 'restore', 'write', 'total'], rows }],
    checks: [
      within('share of voxels whose labels differ', differ, { most: 1e-4 }),
      within('predicted / peak memory', predicted, { least: 1, most: 1.34 }),
    ],
  };
}

async function differingShare(ours, theirs) {
  const [a, b] = [(await readVolume(ours)).data, (await readVolume(theirs)).data];
  let differ = 0;
  for (let at = 0; at < a.length; at++) differ += Number(a[at]) !== Number(b[at]);
  return differ / a.length;
}
