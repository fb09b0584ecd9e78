import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { exportCheckpoint, importCheckpoint, readVolume, UsageError, writeVolume } from 'pulmoav';
import { chest, folder, listing, root } from './fixture.js';

/** Files as PyTorch wrote them; `checkpoints.py` beside them made them. */
const goldens = join(root, 'crates/testing/goldens/checkpoints');
const modelFiles = ['card.md', 'model.safetensors', 'plan.json'];

interface Ended {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: one JSON object of any command
  json: any;
  stderr: string;
}

function pulmoav(...args: string[]): Promise<Ended> {
  return new Promise((done) => {
    execFile(process.execPath, [join(root, 'dist/cli/main.js'), ...args, '--json'], (error, stdout, stderr) => {
      done({ status: error ? Number(error.code) : 0, json: JSON.parse(stdout || 'null'), stderr });
    });
  });
}

test('a checkpoint becomes a model that segments', async (t) => {
  const [directory, scan] = [folder(), join(folder(), 'scan.nii.gz')];
  await writeVolume(scan, chest().ct);
  const model = join(directory, 'imported');
  const imported = await pulmoav('import', join(goldens, 'la_caf.pth'), '-o', model, '--spacing-mm', '6');
  t.is(imported.status, 0, imported.stderr);
  const keys = ['schemaVersion', 'output', 'file', 'sha256', 'container', 'key', 'prefix', 'variant', 'widthDivisor'];
  t.deepEqual(Object.keys(imported.json), [...keys, 'patch', 'mapped', 'unused']);
  t.like(imported.json, { file: 'la_caf.pth', container: 'PyTorch zip', key: 'net', prefix: 'module.' });
  t.like(imported.json, { variant: 'la-caf', widthDivisor: 32, patch: [32, 32, 32] });
  t.deepEqual([imported.json.mapped.length, imported.json.unused.length], [93, 58]);
  t.deepEqual(Object.keys(imported.json.unused[0]), ['name', 'shape', 'reason']);
  t.deepEqual(listing(directory), ['imported', ...modelFiles.map((name) => join('imported', name))]);
  t.regex(readFileSync(join(model, 'card.md'), 'utf8'), /What is unknown/);

  const output = join(directory, 'labels.nii.gz');
  const prompts = ['--prompt', 'left artery', '--prompt', 'A computerized tomography of a right vein'];
  const segmented = await pulmoav('segment', scan, '-o', output, '--model', model, ...prompts);
  t.is(segmented.status, 0, segmented.stderr);
  t.deepEqual(
    segmented.json.targets.map(({ name }: { name: string }) => name),
    ['left artery', 'right vein'],
  );
  t.deepEqual((await readVolume(output)).shape, chest().ct.shape);
  const free = await pulmoav(
    'segment',
    scan,
    '-o',
    output,
    '--model',
    model,
    '--overwrite',
    '--prompt',
    'left pulmonary veins',
  );
  t.is(free.status, 0, free.stderr);
  t.like(free.json.targets[0], { name: 'left vein', prompt: 'left pulmonary veins' });
  t.is(
    (await pulmoav('segment', scan, '-o', output, '--model', model, '--overwrite', '--prompt', 'liver')).json.error
      .code,
    'ERR_PROMPT',
  );
});

test('flags go into the plan', async (t) => {
  const model = join(folder(), 'deep', 'model');
  const prompts = JSON.stringify([
    'vein',
    { name: 'trunk', value: 40, prompt: 'the trunk', classes: ['artery'], side: null },
    'left vein',
    'artery',
  ]);
  const flags = ['--window-hu', '-1000,400', '--spacing-mm', '2,1,1', '--variant', 'gap', '--prompts', prompts];
  const ended = await pulmoav('import', join(goldens, 'gap.pth'), '-o', model, ...flags);
  t.is(ended.status, 0, ended.stderr);
  const plan = JSON.parse(readFileSync(join(model, 'plan.json'), 'utf8'));
  t.like(plan, {
    name: 'model',
    spacingMm: [2, 1, 1],
    patch: [96, 96, 96],
    textEncoder: { id: 'unknown', sha256: '' },
  });
  t.deepEqual(plan.channels, [{ kind: 'window', windowHu: [-1000, 400] }]);
  t.deepEqual(plan.crop, { kind: 'foreground', aboveHu: -1000 });
  t.deepEqual(plan.defaultTargets, ['vein', 'trunk', 'left vein', 'artery']);
  t.like(plan.targets[1], { value: 40, prompt: 'the trunk' });
  t.is(plan.targets[0].embedding.length, 12);
});

test('export and import again give the same weights', async (t) => {
  const directory = folder();
  const at = (name: string) => join(directory, name);
  for (const file of ['la_caf_legacy.pt', 'la_caf.safetensors', 'gap.pth']) {
    t.is((await pulmoav('import', join(goldens, file), '-o', at('model'))).status, 0, file);
    const exported = await pulmoav('export', at('model'), '-o', at('out.safetensors'));
    t.is(exported.status, 0, exported.stderr);
    t.deepEqual(Object.keys(exported.json), ['schemaVersion', 'output', 'tensors', 'parameters']);
    const before = readFileSync(join(at('model'), 'model.safetensors'));
    const again = await importCheckpoint({ file: at('out.safetensors'), out: at('model') });
    t.deepEqual([again.mapped.length, again.unused.length], [exported.json.tensors, 0]);
    t.true(readFileSync(join(at('model'), 'model.safetensors')).equals(before), file);
  }
  t.deepEqual(
    listing(directory).filter((name) => name.startsWith('.')),
    [],
  );
});

test('what cannot be imported or exported has its code, and nothing is left behind', async (t) => {
  const directory = folder();
  const out = join(directory, 'out');
  const golden = (name: string) => join(goldens, name);
  const from = (name: string, ...more: string[]) => ['import', golden(name), '-o', out, ...more];
  const cases: [string[], number, string, RegExp][] = [
    [['import', golden('gap.pth')], 2, 'ERR_USAGE', /out/],
    [from('gap.pth', '--variant', 'u-net'), 2, 'ERR_USAGE', /la-caf, gap/],
    [from('gap.pth', '--window-hu', '300'), 2, 'ERR_USAGE', /2 numbers/],
    [from('gap.pth', '--window-hu', '300,-700'), 2, 'ERR_USAGE', /low one first/],
    [from('gap.pth', '--spacing-mm', '0'), 2, 'ERR_USAGE', /0.05 to 50/],
    [from('gap.pth', '--prompts', '["artery", "vein"]'), 2, 'ERR_USAGE', /4 prompts, but 2/],
    [from('gap.pth', '--prompts', '["artery", "artery"]'), 2, 'ERR_USAGE', /same name/],
    [from('gap.pth', '--prompts', '["liver"]'), 2, 'ERR_USAGE', /no known target/],
    [from('gap.pth', '--prompts', '[{"name": "x"}]'), 2, 'ERR_USAGE', /do not hold/],
    [from('gap.pth', '--prompts', 'missing.json'), 2, 'ERR_USAGE', /JSON array/],
    [from('gap.pth', '--variant', 'la-caf'), 3, 'ERR_MODEL', /lacks 24 tensors/],
    [from('hostile/system.pth'), 3, 'ERR_MODEL', /posix\.system.*nothing in the file was executed/],
    [from('hostile/system.pt'), 3, 'ERR_MODEL', /posix\.system/],
    [from('hostile/inst.pkl'), 3, 'ERR_MODEL', /INST/],
    [from('hostile/huge.pth'), 3, 'ERR_MODEL', /larger than/],
    [from('hostile/other.zip'), 3, 'ERR_FORMAT', /no checkpoint/],
    [from('missing.pth'), 3, 'ERR_IO', /missing\.pth/],
    [['export', 'tiny', '-o', join(directory, 'out.safetensors')], 3, 'ERR_MODEL', /only `la-caf`/],
    [['export', 'none', '-o', join(directory, 'out.safetensors')], 3, 'ERR_MODEL', /none/],
    [['export', 'tiny', '-o', join(directory, 'out.pth')], 2, 'ERR_USAGE', /\.safetensors/],
    [['export', 'tiny', '-o', join(directory, 'no', 'out.safetensors')], 3, 'ERR_IO', /no folder/],
  ];
  for (const [args, status, code, message] of cases) {
    const ended = await pulmoav(...args);
    t.deepEqual([ended.status, ended.json?.error?.code], [status, code], `${args.join(' ')}: ${ended.stderr}`);
    t.regex(ended.json.error.message, message);
  }
  t.deepEqual(listing(directory), []);
  t.false(existsSync('pwned'));
});

test('only a model is replaced', async (t) => {
  const directory = folder();
  const [out, file] = [join(directory, 'out'), join(goldens, 'gap.pth')];
  mkdirSync(out);
  await importCheckpoint({ file, out });
  await importCheckpoint({ file, out });
  t.deepEqual(listing(directory), ['out', ...modelFiles.map((name) => join('out', name))]);
  await t.throwsAsync(importCheckpoint({ file: join(goldens, 'hostile/system.pth'), out }), { code: 'ERR_MODEL' });
  t.deepEqual(listing(out), modelFiles);
  writeFileSync(join(out, 'training.safetensors'), 'state');
  await t.throwsAsync(importCheckpoint({ file, out }), { instanceOf: UsageError, message: /other than a model/ });
  await t.throwsAsync(importCheckpoint({ file, out: join(goldens, 'gap.pth') }), { instanceOf: UsageError });
  const stopped = AbortSignal.abort(new Error('stopped'));
  const elsewhere = join(directory, 'elsewhere');
  await t.throwsAsync(importCheckpoint({ file, out: elsewhere, signal: stopped }), { message: 'stopped' });
  t.deepEqual(listing(directory), ['out', ...[...modelFiles, 'training.safetensors'].map((name) => join('out', name))]);
  await t.throwsAsync(exportCheckpoint({ model: out, out: '' }), { instanceOf: UsageError });
});
