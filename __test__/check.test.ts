import { join } from 'node:path';
import test from 'ava';
import { checkLabels, type Volume, writeVolume } from 'pulmoav';
import { object, pulmoav } from './command.js';
import { chest, folder } from './fixture.js';

const { ct, labels: like } = chest();
const [nz, ny, nx] = like.shape;
/** A straight artery and a straight vein in each lung, along z. */
const labels: Volume<Uint8Array> = {
  ...like,
  data: Uint8Array.from(like.data, (_, at) => {
    const [z, y, x] = [Math.floor(at / (ny * nx)), Math.floor(at / nx) % ny, at % nx];
    const isIn = (column: number) => Math.hypot(y - 32, x - column) < 1.6 && z >= 12 && z < 36;
    if ([20, 60].some(isIn)) return 1;
    return [29, 69].some(isIn) ? 2 : 0;
  }),
};
const place = folder();
const [scan, clean, swapped, elsewhere] = ['scan', 'clean', 'swapped', 'elsewhere'].map((name) =>
  join(place, `${name}.nii.gz`),
) as [string, string, string, string];

test.before(async () => {
  await writeVolume(scan, ct);
  await writeVolume(clean, labels);
  const turned = (label: number, at: number) => {
    const z = Math.floor(at / (ny * nx));
    return label === 1 && z > nz / 2 && z < nz / 2 + 6 ? 2 : label;
  };
  await writeVolume(swapped, {
    ...labels,
    data: labels.data.map(turned),
  });
  await writeVolume(elsewhere, { ...ct, affine: ct.affine.map((value, at) => (at === 3 ? value + 9 : value)) });
});

test('figures have a value, a range, a source and a light, and say where errors lie', async (t) => {
  const [good, bad] = [await checkLabels(clean, { image: scan }), await checkLabels(swapped, { image: scan })];
  const of = (checked: typeof good, name: string) => checked.figures.find((figure) => figure.name === name);
  t.deepEqual(
    good.figures.map(({ name }) => name),
    bad.figures.map(({ name }) => name),
  );
  for (const { source, plausible, doubtful, value, light } of good.figures) {
    t.true(source.length > 10 && doubtful[0] <= plausible[0] && plausible[1] <= doubtful[1]);
    t.is(value === null, light === null);
  }
  t.is(of(good, 'againstTree')?.value, 0);
  const against = of(bad, 'againstTree');
  t.true((against?.value ?? 0) > 0.05);
  const [first] = against?.places ?? [];
  if (!first) return t.fail('no place');
  const [z = 0] = first.voxel;
  t.true(z > nz / 2 && z < nz / 2 + 6, `${first.voxel}`);
});

test('another grid, a missing file and half a pair of values are told', async (t) => {
  await t.throwsAsync(checkLabels(clean, { image: elsewhere }), { code: 'ERR_GEOMETRY' });
  await t.throwsAsync(checkLabels('missing.nii.gz', { image: scan }), { code: 'ERR_IO' });
  await t.throwsAsync(checkLabels(clean, { image: scan, artery: 1 }), { code: 'ERR_USAGE' });
  await t.throwsAsync(checkLabels(clean, { image: '' }), { code: 'ERR_USAGE' });
  const own = await checkLabels(clean, { image: scan, artery: 1, vein: 2 });
  t.deepEqual(own.figures, (await checkLabels(clean, { image: scan })).figures);
});

test('the command says the same, and --json is one object', async (t) => {
  const said = await pulmoav('check', swapped, '--image', scan);
  t.is(said.status, 0);
  t.regex(said.stdout, /follow the share of swapped voxels[\s\S]*plain plausibility/);
  t.true('figures' in object(await pulmoav('check', swapped, '--image', scan, '--json')));
  t.is((await pulmoav('check', swapped)).status, 2);
});
