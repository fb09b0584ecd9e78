// Input: the chest and abdomen scans of the shared data, each in a fresh process. Expected: a label map on the scan's
// own grid, volumes that a chest can hold, nothing in an abdomen. Peer: the vessel voxels that CIP labelled in ct-64.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readVolume } from '../../dist/index.js';
import { preview } from '../../dist/report/preview.js';
import { modelFacts, pulmoav } from '../machine.mjs';
import { that, three, within } from '../table.mjs';

export const about =
  'real scans: geometry, ml, share in air, vessels of ct-64 found, seconds, memory, pictures (--count N)';

/** Scans in the order of time, so that `--count` takes the quick ones; `lungs` has both lungs in full. */
const SCANS = [
  { file: 'ts_example_ct_sm.nii.gz', holds: 'abdomen' },
  { file: 'cip/ct-64.nrrd', holds: 'lungs', vessels: 'cip/lm-64.nrrd' },
  { file: 'elastix/3DCT_lung_baseline_small.mha', holds: 'lungs' },
  { file: 'ts_example_ct.nii.gz', holds: 'abdomen' },
  { file: 'imlab_id001_ct.nii.gz', holds: 'lungs' },
  { file: 'imlab_id003_ct.nii.gz', holds: 'lungs' },
  { file: 'ts_aorta_ct_cropped.nii.gz', holds: 'part' },
  { file: 'elastix/3DCT_lung.mha', holds: 'lungs' },
];
/** CIP label maps hold region + 256 · type; this type is "vessel". */
const CIP_VESSEL = 3;

export async function run(context) {
  const { say, data } = context;
  const { path, facts: model } = await modelFacts(context.model);
  const folder = join(data, 'ct');
  const scans = SCANS.slice(0, context.count).filter(({ file }) => existsSync(join(folder, file)));
  if (scans.length === 0) say(`skipped: no scans in ${folder}`);
  const cases = [];
  for (const scan of scans) cases.push(await measured(scan, folder, path, context));
  return { model, cases, tables: scans.length === 0 ? [] : [table(cases)], checks: cases.flatMap(checks) };
}

async function measured({ file, holds, vessels }, folder, model, { work, threads, say }) {
  const input = join(folder, file);
  const name = basename(file).replace(/\.(nii\.gz|nrrd|mha)$/, '');
  const output = join(work, `${name}.nii.gz`);
  const flags = threads === undefined ? [] : ['--threads', String(threads)];
  const report = pulmoav('segment', input, '-o', output, '--overwrite', '--model', model, ...flags);
  const [ct, labels] = await Promise.all([readVolume(input), readVolume(output)]);
  writeFileSync(join(work, `${name}.png`), preview(ct, labels));
  const [arteryMl, veinMl] = report.targets.map(({ volumeMl }) => three(volumeMl));
  const warnings = report.warnings.map(({ code }) => code);
  say(`${name}: ${arteryMl} + ${veinMl} ml in ${report.seconds.total.toFixed(1)} s`);
  return {
    name,
    holds,
    sameGrid: sameGrid(ct, labels),
    sameGeometryBytes: file.endsWith('.nii.gz') ? sameGeometryBytes(input, output) : null,
    arteryMl,
    veinMl,
    airShare: three(airShare(labels, report.clearedInAir)),
    vesselsFound: vessels ? three(await vesselsFound(join(folder, vessels), labels)) : null,
    seconds: three(report.seconds.total),
    wallSeconds: three(report.wallSeconds),
    peakMib: Math.round(report.memory.peakBytes / 2 ** 20),
    predictedMib: Math.round(report.memory.predictedBytes / 2 ** 20),
    warnings,
  };
}

/** Same shape, and an affine that differs by no more than f32 rounds. */
function sameGrid(ct, labels) {
  const near = (a, b) => Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(a));
  return ct.shape.every((n, axis) => n === labels.shape[axis]) && ct.affine.every((v, i) => near(v, labels.affine[i]));
}

/** Whether the NIfTI-1 header's geometry is the same bytes: dim, pixdim, units, qform and sform. */
function sameGeometryBytes(input, output) {
  const [ours, theirs] = [output, input].map((file) => gunzipSync(readFileSync(file)).subarray(0, 348));
  const fields = [
    [40, 56],
    [76, 108],
    [123, 124],
    [252, 328],
  ];
  return fields.every(([from, to]) => ours.subarray(from, to).equals(theirs.subarray(from, to)));
}

/** Of the voxels that the network labelled, the share that is air: they are cleared, so they are counted before. */
function airShare(labels, clearedInAir) {
  const labelled = labels.data.reduce((sum, label) => sum + (label === 0 ? 0 : 1), clearedInAir);
  return labelled === 0 ? null : clearedInAir / labelled;
}

/** Of the voxels that CIP calls vessel, the share that is labelled. */
async function vesselsFound(file, labels) {
  const { data } = await readVolume(file);
  let vessels = 0;
  let found = 0;
  for (let i = 0; i < data.length; i++) {
    if (data[i] >> 8 !== CIP_VESSEL) continue;
    vessels += 1;
    if (labels.data[i] !== 0) found += 1;
  }
  return found / vessels;
}

function table(cases) {
  const columns = ['scan', 'grid', 'bytes', 'artery ml', 'vein ml', 'in air', 'vessels', 's', 'peak MiB', 'warnings'];
  const rows = cases.map((one) => [
    one.name,
    one.sameGrid ? 'same' : 'OTHER',
    one.sameGeometryBytes === null ? '–' : one.sameGeometryBytes ? 'same' : 'OTHER',
    one.arteryMl,
    one.veinMl,
    one.airShare,
    one.vesselsFound,
    one.seconds,
    one.peakMib,
    one.warnings.join(' '),
  ]);
  return { title: 'Real scans', columns, rows };
}

function checks(one) {
  const { name, holds } = one;
  const ml = one.arteryMl + one.veinMl;
  const always = [that(`${name}: the scan's own grid`, one.sameGrid && one.sameGeometryBytes !== false)];
  if (holds === 'abdomen') {
    const warned = that(`${name}: a warning`, one.warnings.length > 0);
    return [...always, within(`${name}: ml in an abdomen`, ml, { most: 2 }), warned];
  }
  const air = within(`${name}: share of the network's labels in air`, one.airShare, { most: 0.02 });
  if (holds === 'part') return [...always, air];
  const volume = within(`${name}: artery + vein, ml`, ml, { least: 20, most: 900 });
  const known =
    one.vesselsFound === null ? [] : [within(`${name}: CIP's vessels found`, one.vesselsFound, { least: 0.5 })];
  return [...always, volume, air, ...known];
}
