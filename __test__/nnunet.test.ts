import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { importNnunet, inspectNnunet, readVolume, Segmenter, segmentToFile, verifyModel } from 'pulmoav';
import { chest, folder, root, shared } from './fixture.js';

/** Random networks with what nnunetv2 2.8.1 and TotalSegmentator 2.18.0 made of scans (`meta.json` says how). */
const fixtures = join(shared, 'nnunet');
/** Least share of voxels with nnunetv2's label; against itself on other processors it has 0.99999. */
const LEAST_EQUAL = 0.99998;

/** Says so, and passes, where the shared files are missing. */
function isMissing(t: ExecutionContext): boolean {
  if (existsSync(fixtures)) return false;
  t.log('skipped: the shared nnU-Net fixtures are missing');
  t.pass();
  return true;
}

function modelOf(fixture: string): string {
  const models = join(fixtures, fixture, 'model');
  const [dataset = ''] = readdirSync(models);
  const [trainer = ''] = readdirSync(join(models, dataset));
  return join(models, dataset, trainer);
}

function inputsOf(fixture: string): string[] {
  const names = readdirSync(join(fixtures, fixture)).filter((name) => name.startsWith('input_'));
  return names.sort().map((name) => join(fixtures, fixture, name));
}

/** Share of voxels with one value, of two maps of one shape. */
async function equalShare(ours: string, theirs: string): Promise<number> {
  const [a, b] = [await readVolume(ours), await readVolume(theirs)];
  const far = a.affine.some((value, at) => Math.abs(value - (b.affine[at] ?? Number.NaN)) > 1e-5);
  if (far || a.data.length !== b.data.length) return 0;
  let equal = 0;
  for (let at = 0; at < a.data.length; at++) if (Number(a.data[at]) === Number(b.data[at])) equal++;
  return equal / a.data.length;
}

for (const fixture of ['a', 'c', 'd']) {
  for (const mirror of [false, true]) {
    test(`nnU-Net's fixture ${fixture} gets nnunetv2's labels, mirroring ${mirror ? 'on' : 'off'}`, async (t) => {
      if (isMissing(t)) return;
      const output = join(folder(), 'labels.nii.gz');
      const job = { input: inputsOf(fixture), output, model: modelOf(fixture), mirror };
      const report = await segmentToFile(job);
      const share = await equalShare(output, join(fixtures, fixture, `mirror_${mirror ? 'on' : 'off'}.nii.gz`));
      t.log(`${(100 * (1 - share)).toFixed(5)} % of the voxels differ`);
      t.true(share >= LEAST_EQUAL, String(share));
      t.is(report.folds, fixture === 'd' ? 2 : 1);
    });
  }
}

test('an imported model gives the same labels to the bit, and holds no pickle', async (t) => {
  if (isMissing(t)) return;
  const out = join(folder(), 'imported');
  const made = await importNnunet({ directory: modelOf('d'), out });
  t.deepEqual(readdirSync(out).sort(), ['card.md', 'model.safetensors', 'plan.json']);
  t.deepEqual(made.folds, ['0', '1']);
  const labels = async (model: string) => {
    using segmenter = await Segmenter.load({ model });
    return (await segmenter.segment(inputsOf('d'), { mirror: false })).labels.data;
  };
  t.deepEqual(await labels(out), await labels(modelOf('d')));
  const { output, ...info } = made;
  t.like(await verifyModel(out), { kind: 'classes', name: info.name, parameters: info.parameters });
  t.like(await inspectNnunet({ directory: out }), { classes: info.classes, patch: info.patch, folds: info.folds });
});

test('a trainer that nobody knows runs, and every result says so', async (t) => {
  const directory = join(root, 'crates', 'testing', 'goldens', 'nnunet', 'residual');
  const { channels, notes } = await inspectNnunet({ directory });
  t.is(notes.length, 1);
  using segmenter = await Segmenter.load({ model: directory });
  const { ct } = chest();
  const { warnings } = await segmenter.segment(Array(channels.length).fill(ct), { mirror: false });
  t.like(warnings, [{ code: 'MODEL_NOTE', message: notes[0] }]);
});

test('plans of the old format mean the same model', async (t) => {
  if (isMissing(t)) return;
  const copy = join(folder(), 'model__plans__3d_fullres');
  cpSync(modelOf('a'), copy, { recursive: true });
  const { dataset, trainer, ...now } = await inspectNnunet({ directory: copy });
  writeFileSync(join(copy, 'plans.json'), readFileSync(join(copy, 'plans.old_format.json')));
  const { dataset: _, trainer: __, ...before } = await inspectNnunet({ directory: copy });
  t.deepEqual(before, now);
});

test('prompts name classes, and what the model does not have is refused with what it has', async (t) => {
  if (isMissing(t)) return;
  using segmenter = await Segmenter.load({ model: modelOf('a') });
  const options = { mirror: false, prompts: ['pulmonary veins'] };
  const { labels, targets } = await segmenter.segment(inputsOf('a'), options);
  t.like(targets, [{ name: 'lung_veins', prompt: 'pulmonary veins', value: 4 }]);
  t.deepEqual([...new Set(labels.data)].sort(), [0, 4]);
  const known = { code: 'ERR_PROMPT', message: /`lung_veins`/ };
  await t.throwsAsync(segmenter.segment(inputsOf('a'), { prompts: ['liver'] }), known);
  await t.throwsAsync(segmenter.segment(inputsOf('a'), { prompts: ['left artery'] }), known);
});

test("TotalSegmentator's preset gives its labels, and ours where nobody asks for its own", async (t) => {
  if (isMissing(t)) return;
  const weights = join(fixtures, 't', 'home', 'nnunet', 'results');
  const [input = ''] = inputsOf('t');
  const [raw, ours] = [join(folder(), 'raw.nii.gz'), join(folder(), 'ours.nii.gz')];
  const preset = 'totalsegmentator-lung-vessels';
  const report = await segmentToFile({ input, output: raw, preset, weights, rawLabels: true });
  const share = await equalShare(raw, join(fixtures, 't', 'lung_vessels_ml.nii.gz'));
  t.log(`${(100 * (1 - share)).toFixed(5)} % of the voxels differ`);
  t.true(share >= 0.9999, String(share));
  t.is(report.licence, 'Apache-2.0');
  t.is(report.citations.length, 4);
  const { targets } = await segmentToFile({ input, output: ours, preset, weights });
  t.like(targets, [
    { name: 'lung_arteries', value: 1 },
    { name: 'lung_veins', value: 2 },
  ]);
  const [a, b] = [await readVolume(raw), await readVolume(ours)];
  const mapped = Uint8Array.from(a.data as Uint8Array, (value) => [0, 0, 0, 1, 2][value] ?? 0);
  t.deepEqual(b.data as Uint8Array, mapped);
});

test('what cannot run is refused in one sentence that says where', async (t) => {
  const load = (options: Parameters<typeof Segmenter.load>[0]) => Segmenter.load(options);
  const empty = folder();
  await t.throwsAsync(load({ preset: 'totalsegmentator-lung-vessels', weights: empty }), {
    code: 'ERR_MODEL',
    message: /Dataset297/,
  });
  await t.throwsAsync(load({ preset: 'total' as never }), { code: 'ERR_USAGE', message: /no preset/ });
  await t.throwsAsync(load({ folds: ['0'] }), { code: 'ERR_USAGE' });
  await t.throwsAsync(load({ weights: empty }), { code: 'ERR_USAGE' });
  using tiny = await load({});
  await t.throwsAsync(tiny.segment('ct.nii.gz', { rawLabels: true }), { code: 'ERR_USAGE', message: /classes/ });
  await t.throwsAsync(tiny.segment(['a.nii.gz', 'b.nii.gz']), { code: 'ERR_USAGE', message: /one scan/ });
  if (isMissing(t)) return;
  const trainer = modelOf('a');
  await t.throwsAsync(load({ model: trainer, folds: ['7'] }), { code: 'ERR_MODEL', message: /fold/ });
  await t.throwsAsync(load({ model: trainer, checkpoint: 'other.pth' }), { code: 'ERR_MODEL' });
  await t.throwsAsync(load({ model: join(trainer, '..') }), { code: 'ERR_MODEL', message: /nnUNetTrainer/ });
  const copy = join(folder(), 'model__plans__3d_fullres');
  cpSync(trainer, copy, { recursive: true });
  rmSync(join(copy, 'fold_0'), { recursive: true });
  await t.throwsAsync(load({ model: copy }), { code: 'ERR_MODEL', message: /fold/ });
  using one = await load({ model: trainer });
  await t.throwsAsync(one.segment([...inputsOf('a'), ...inputsOf('a')]), { code: 'ERR_USAGE', message: /1 scan/ });
  await t.throwsAsync(one.segment(inputsOf('a'), { step: 0 }), { code: 'ERR_USAGE' });
  await t.throwsAsync(one.segment(inputsOf('a'), { maxMemory: 1e6 }), { code: 'ERR_MEMORY' });
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('enough')), 300);
  await t.throwsAsync(one.segment(inputsOf('a'), { signal: stop.signal }), { message: 'enough' });
});
