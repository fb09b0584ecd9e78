// Input: a chest of 512 × 512 × 400 voxels and its labels, as the peers' scripts make them. Expected: a scan is read at
// least 3 times as fast as by the peer, one that we wrote 6 times; labels are written 3 times as fast, into at most a
// tenth more bytes than its level 6 takes. Peer: nibabel, turn about with ours (--python FILE, --peers DIR with
// synth.py and nifti_io.py).
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readVolume, writeVolume } from '../../dist/index.js';
import { peerRows, peerVolumes } from '../processes.mjs';
import { race } from '../race.mjs';
import { median, within } from '../table.mjs';

export const about = 'reading a CT and writing labels against nibabel (--python FILE, --peers DIR)';

const ROUNDS = 3;
/** A peer's process is fresh each round: with two repeats it warms itself up first, as ours has. */
const PEER_REPEATS = 2;

export async function run({ work, shared, python, peers, count = ROUNDS, say }) {
  const data = peerVolumes({ python, peers, shared, say });
  const [ct, labels] = ['ct.nii.gz', 'gt.nii.gz'].map((name) => join(data, name));
  const [ours, written] = ['ct.nii.gz', 'labels.nii.gz'].map((name) => join(work, name));
  const nibabel = (cases) =>
    peerRows(python, join(resolve(peers), 'nifti_io.py'), [
      '--data',
      data,
      '--cases',
      cases,
      '--reps',
      PEER_REPEATS,
    ])[0];
  await writeVolume(ours, await readVolume(ct), { like: ct });
  const label = await readVolume(labels);
  await writeVolume(written, label, { like: labels });
  const times = { read: [], readOurs: [], write: [], peerRead: [], peerWrite: [] };
  for (let round = 0; round < count; round++) {
    times.read.push(await seconds(() => readVolume(ct)));
    times.readOurs.push(await seconds(() => readVolume(ours)));
    times.write.push(await seconds(() => writeVolume(written, label, { like: labels })));
    times.peerRead.push(nibabel('load_int16').s_best);
    times.peerWrite.push(nibabel('save_label').s_best);
  }
  const { bytes: smallest } = nibabel('save_label_level6');
  const bytes = statSync(written).size;
  const line = (what, ours, theirs, least) =>
    race({ what, ours: median(times[ours]), peer: 'nibabel', theirs: median(times[theirs]), least });
  return {
    bytes: { ours: bytes, nibabelLevel6: smallest },
    races: [
      line('load CT .nii.gz', 'read', 'peerRead', 3),
      line('load CT .nii.gz that we wrote', 'readOurs', 'peerRead', 6),
      line('save labels .nii.gz', 'write', 'peerWrite', 3),
    ],
    checks: [within('bytes of labels / nibabel at level 6', bytes / smallest, { most: 1.1 })],
  };
}

async function seconds(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
