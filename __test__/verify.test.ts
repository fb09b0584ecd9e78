import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type DatasetFinding, type Volume, verify, writeVolume } from 'pulmoav';
import { chest, dataset, folder, root } from './fixture.js';

type Labels = Volume<Uint8Array>;
type Annotated = { sides?: string[]; classes?: string[] };

const { ct, labels } = chest();
const description = {
  channel_names: { '0': 'CT' },
  labels: { background: 0, artery: 1, vein: 2 },
  file_ending: '.nii.gz',
};

/** A scan whose voxels are like no other's. */
let scans = 0;
function scan(change: (hu: number) => number = (hu) => hu): Volume<Int16Array> {
  scans += 1;
  return { ...ct, data: ct.data.map((hu, at) => change(at === 0 ? hu + scans : hu)) };
}

function relabelled(change: (label: number, x: number, hu: number) => number): Labels {
  const width = labels.shape[2];
  return { ...labels, data: labels.data.map((label, at) => change(label, at % width, ct.data[at] ?? 0)) };
}

class Folder {
  readonly path = folder();
  readonly cases: Record<string, { annotated: Annotated }> = {};

  constructor() {
    for (const part of ['imagesTr', 'labelsTr']) mkdirSync(join(this.path, part));
  }

  async image(name: string, image: Volume): Promise<void> {
    await writeVolume(join(this.path, 'imagesTr', `${name}_0000.nii.gz`), image);
  }

  async label(name: string, map: Volume): Promise<void> {
    await writeVolume(join(this.path, 'labelsTr', `${name}.nii.gz`), map);
  }

  async add(name: string, image: Volume, map: Volume = labels, annotated?: Annotated): Promise<void> {
    await this.image(name, image);
    await this.label(name, map);
    if (annotated) this.cases[name] = { annotated };
  }

  close(more: object = {}): string {
    writeFileSync(join(this.path, 'dataset.json'), JSON.stringify({ ...description, ...more, cases: this.cases }));
    return this.path;
  }
}

const errors = (findings: DatasetFinding[]) =>
  findings.filter(({ severity }) => severity === 'error').map(({ case: name, code }) => `${name} ${code}`);

test('one fault of each kind is found, and none stops the others', async (t) => {
  const data = new Folder();
  const good = scan();
  await data.add('good', good);
  await data.add('again', good);
  const beside = labels.affine.map((value, at) => (at === 11 ? value + 7 : value));
  await data.add('beside', scan(), { ...labels, affine: beside });
  await data.add('cut', scan(), { ...labels, shape: [47, 64, 88], data: labels.data.slice(64 * 88) });
  await data.add(
    'strange',
    scan(),
    relabelled((label) => (label === 2 ? 7 : label)),
  );
  await data.add(
    'veinless',
    scan(),
    relabelled((label) => (label === 2 ? 0 : label)),
  );
  await data.add(
    'shifted',
    scan((hu) => hu + 1024),
  );
  await data.add('both', scan(), labels, { sides: ['left'] });
  await data.add(
    'one',
    scan(),
    relabelled((label, x) => (x < 44 ? label : 0)),
  );
  await data.add(
    'air',
    scan(),
    relabelled((label, _, hu) => (hu < -1000 ? 1 : label)),
  );
  await data.add(
    'guessed',
    { ...scan(), oriented: false },
    relabelled((label, x) => (x < 44 ? label : 0)),
    {
      sides: ['left'],
    },
  );
  await data.add('damaged', scan());
  const damaged = join(data.path, 'imagesTr', 'damaged_0000.nii.gz');
  writeFileSync(damaged, readFileSync(damaged).subarray(0, 2000));
  await data.image('unlabelled', scan());
  await data.label('unseen', labels);
  await data.add('pair', scan());
  rmSync(join(data.path, 'labelsTr', 'pair.nii.gz'));
  await data.label(
    'pair_artery',
    relabelled((label) => (label === 1 ? 1 : 0)),
  );
  await data.label(
    'pair_vein',
    relabelled((label, x) => (label === 2 || (label === 1 && x < 30) ? 1 : 0)),
  );
  writeFileSync(join(data.path, 'splits_final.json'), JSON.stringify([{ train: ['good'], val: ['good'] }]));
  const told: string[] = [];
  const { ok, cases, findings } = await verify(data.close({ labels: { ...description.labels, airway: 3 } }), {
    onProgress: ({ stage, done, total }) => told.push(`${stage} ${done}/${total}`),
  });
  t.false(ok);
  t.is(cases, 15);
  t.is(told.at(-1), 'verify 15/15');
  t.deepEqual(errors(findings), [
    'null BAD_SPLITS',
    'air OUTSIDE_BODY',
    'beside GEOMETRY',
    'both OTHER_SIDE',
    'cut GEOMETRY',
    'damaged UNREADABLE',
    'good DUPLICATE',
    'guessed NO_ORIENTATION',
    'one EMPTY_SIDE',
    'shifted NOT_HU',
    'shifted NO_LUNGS',
    'strange UNKNOWN_LABEL',
    'strange EMPTY_LABEL',
    'unlabelled MISSING_LABEL',
    'unseen MISSING_IMAGE',
    'veinless EMPTY_LABEL',
  ]);
  const message = (name: string, code: string) =>
    findings.find((finding) => finding.case === name && finding.code === code)?.message;
  t.regex(message('beside', 'GEOMETRY') ?? '', /7\.0 mm/);
  t.regex(message('cut', 'GEOMETRY') ?? '', /4\.0 mm/);
  t.regex(message('strange', 'UNKNOWN_LABEL') ?? '', /\b7 \(\d+ voxels\)/);
  t.regex(message('pair', 'LABELS_OVERLAP') ?? '', /\d+ voxels are artery and vein/);
  t.true(findings.some(({ case: name, code }) => name === null && code === 'LABELS_IGNORED'));
});

test('half-labelled, ignored and unlabelled parts are no faults', async (t) => {
  const data = new Folder();
  await data.add(
    'half',
    scan(),
    relabelled((label, x) => (x < 44 ? label : 0)),
    { sides: ['left'] },
  );
  const unsure = { ...labels, data: Int16Array.from(labels.data, (label, at) => (at % 97 === 0 ? -999 : label)) };
  await data.add('unsure', scan(), unsure);
  await data.image('unlabelled', scan());
  data.cases.unlabelled = { annotated: { sides: [] } };
  const { ok, findings } = await verify(data.close({ labels: { ...description.labels, ignore: -999 } }));
  t.deepEqual(errors(findings), []);
  t.true(ok);
});

test('the command prints a row a finding, and its status says whether something must be mended', async (t) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), 'verify', ...args], { encoding: 'utf8' });
  const wrong = run(await dataset());
  t.is(wrong.status, 4, wrong.stderr);
  t.regex(wrong.stdout, /^two +DUPLICATE +its CT has the same voxels as that of one: keep one/m);
  const data = new Folder();
  await data.add('good', scan());
  const fine = run(data.close(), '--json');
  t.is(fine.status, 0, fine.stderr);
  t.regex(fine.stdout, /^\{"schemaVersion":1,"cases":1,"ok":true,"findings":\[/);
  t.is(run(folder(), '--json').status, 3);
});

test('a cancelled verification rejects with its reason', async (t) => {
  const stop = new AbortController();
  const failing = verify(await dataset(), { signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
  await t.throwsAsync(failing, { message: 'enough' });
});
