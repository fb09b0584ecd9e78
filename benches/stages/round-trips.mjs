// Input: the DICOM series cip_ct64 of the shared data, labelled once; the label map is kept between runs. Expected: what
// pulmoav writes as a DICOM segmentation, as .seg.nrrd and as NIfTI is read by highdicom, SimpleITK and nibabel with the
// same voxels, at most 0.01 mm from their place; surfaces enclose what the voxels fill to 3 % (--python FILE with
// highdicom, SimpleITK, nibabel and trimesh).
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { labelNames, readVolume, Segmenter, writeSurface, writeVolume } from '../../dist/index.js';
import { root } from '../machine.mjs';

export const about = 'what is written, read by other programs (--python FILE)';

const MOST_MM = 0.01;
const MOST_SHARE = 0.03;

export async function run({ data, work, threads, python = 'python3', say }) {
  const series = join(data, 'dicom/cip_ct64');
  const at = (name) => join(work, name);
  if (!existsSync(at('labels.seg.dcm'))) await label(series, at('labels.seg.dcm'), threads);
  const labels = await readVolume(at('labels.seg.dcm'));
  const names = [
    { value: 1, name: 'artery' },
    { value: 2, name: 'vein' },
  ];
  const options = { labels: labelNames(names) };
  await writeVolume(at('labels.nii.gz'), labels, options);
  await writeVolume(at('labels.seg.nrrd'), labels, options);
  for (const name of ['vessels.glb', 'vessels.stl']) await writeSurface(at('labels.nii.gz'), at(name));
  say('read by other programs');
  const script = join(root, 'benches/round_trips.py');
  const found = JSON.parse(execFileSync(python, [script, work], { encoding: 'utf8' }).trim().split('\n').at(-1));
  return { ...found, tables: tables(found), checks: checks(found) };
}

async function label(series, path, threads) {
  const segmenter = await Segmenter.load({ threads });
  const { labels, targets } = await segmenter.segment(series);
  segmenter.dispose();
  await writeVolume(path, labels, { like: series, labels: labelNames(targets) });
}

function tables({ rows, surfaces }) {
  const maps = rows.map(({ way, reader, voxels, differ, cornersMm, centroidsMm }) => [
    way,
    reader,
    `${differ} of ${voxels}`,
    cornersMm.toExponential(1),
    centroidsMm.toExponential(1),
  ]);
  const meshes = surfaces.map(({ file, what, meshMl, voxelsMl }) => [
    file,
    what,
    meshMl.toFixed(2),
    voxelsMl.toFixed(2),
    `${(100 * (meshMl / voxelsMl - 1)).toFixed(2)} %`,
  ]);
  return [
    {
      title: 'Label maps',
      columns: ['way', 'read by', 'voxels that differ', 'corners mm', 'centroids mm'],
      rows: maps,
    },
    { title: 'Surfaces, read by trimesh', columns: ['file', 'what', 'ml', 'voxels ml', 'off'], rows: meshes },
  ];
}

function checks({ rows, surfaces }) {
  const maps = rows.map(({ way, differ, cornersMm, centroidsMm }) => {
    const farthest = Math.max(cornersMm, centroidsMm);
    const wanted = `no voxel, ${MOST_MM} mm`;
    return { what: way, value: `${differ}, ${farthest}`, wanted, holds: differ === 0 && farthest <= MOST_MM };
  });
  const meshes = surfaces.map(({ file, what, meshMl, voxelsMl }) => {
    const off = Math.abs(meshMl / voxelsMl - 1);
    return { what: `${file} ${what}`, value: off, wanted: `at most ${MOST_SHARE}`, holds: off <= MOST_SHARE };
  });
  return [...maps, ...meshes];
}
