// Input: a chest of 512 × 512 × 400 voxels and its labels, as the peers' scripts make them. Expected: a scan is read at least 3
// times as fast as by the peer, one that we wrote 6 times; labels are written 3 times as fast, into at most a tenth more bytes
// than its level 6 takes. Peer: nibabel, turn about with ours (--python FILE, --peers DIR with synth.py and nifti_io.py).
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readVolume, writeVolume } from '../../dist/index.js';
import { peerRows, peerVolumes } from '../peer.mjs';
import { median, three, within } from '../table.mjs';

export const about = 'reading a CT and writing labels against nibabel (--python FILE, --peers DIR)';

const ROUNDS = 3;

export async function run({ work, shared, python, peers, count = ROUNDS, say }) {
  const data = peerVolumes({ python, peers, shared, say });
  const [ct, labels] = ['ct.nii.gz', 'gt.nii.gz'].map((name) => join(data, name));
  const [ours, written] = ['ct.nii.gz', 'labels.nii.gz'].map((name) => join(work, name));
  const nibabel = (cases) =>
    peerRows(python, join(resolve(peers), 'nifti_io.py'), ['--data', data, '--cases', cases, '--reps', '1'])[0];
  await writeVolume(ours, await readVolume(ct), { like: ct });
  const label = await readVolume(labels);
  const times = { read: [], readOurs: [], write: [], peerRead: [], peerWrite: [] };
  for (let round = 0; round < count; round++) {
    times.read.push(await seconds(() => readVolume(ct)));
    times.readOurs.push(await seconds(() => readVolume(ours)));
    times.write.push(await seconds(() => writeVolume(written, label, { like: labels })));
    times.peerRead.push(nibabel('load_int16').s_best);
    times.peerWrite.push(nibabel('save_label').s_best);
  }
  const smallest = nibabel('save_label_level6');
  const s = Object.fromEntries(Object.entries(times).map(([name, all]) => [name, three(median(all))]));
  const bytes = statSync(written).size;
  const rows = [
    ['read the CT', s.read, s.peerRead, three(s.peerRead / s.read)],
    ['read the CT as we write it', s.readOurs, s.peerRead, three(s.peerRead / s.readOurs)],
    ['write labels', s.write, s.peerWrite, three(s.peerWrite / s.write)],
  ];
  const columns = ['what', 'ours s', 'nibabel s', 'nibabel / ours'];
  const [read, readOurs, write] = rows.map((row) => row[3]);
  return {
    bytes: { ours: bytes, nibabelLevel6: smallest.bytes },
    tables: [{ title: 'A volume of 512 × 512 × 400', columns, rows }],
    checks: [
      within('nibabel / ours, reading', read, { least: 3 }),
      within('nibabel / ours, reading what we wrote', readOurs, { least: 6 }),
      within('nibabel / ours, writing labels', write, { least: 3 }),
      within('bytes of labels / nibabel at level 6', three(bytes / smallest.bytes), { most: 1.1 }),
    ],
  };
}

async function seconds(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
