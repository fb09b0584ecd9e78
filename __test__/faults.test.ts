import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import {
  evaluate,
  exportCheckpoint,
  findModel,
  phantom,
  readVolume,
  type Scores,
  Segmenter,
  type SegmentOptions,
  type Volume,
  writeVolume,
} from 'pulmoav';
import { chest, folder, listing, root, same, smallestModel } from './fixture.js';

const small: Volume<Uint8Array> = {
  data: Uint8Array.from({ length: 24 }, (_, at) => at % 3),
  shape: [2, 3, 4],
  spacingMm: [2.5, 0.7, 0.7],
  affine: [0.7, 0, 0, 1, 0, 0.7, 0, 2, 0, 0, 2.5, 3, 0, 0, 0, 1],
};

interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

async function run(args: string[], shell?: string): Promise<Ended> {
  const main = join(root, 'dist/cli/main.js');
  const started = shell
    ? promisify(execFile)('sh', ['-c', `"${process.execPath}" "${main}" "$@" ${shell}`, 'sh', ...args])
    : promisify(execFile)(process.execPath, [main, ...args]);
  return started.then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ status: code as number, stdout: stdout as string, stderr: stderr as string }),
  );
}

/** The header of an NRRD file in a folder of its own, with the voxels that it names elsewhere. */
function nrrd(fields: string): string {
  const directory = folder();
  mkdirSync(join(directory, 'in'));
  writeFileSync(join(directory, 'outside.raw'), Buffer.alloc(24, 1));
  const head = 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 3 2\nencoding: raw\n';
  const file = join(directory, 'in', 'scan.nhdr');
  writeFileSync(file, `${head}${fields}\n`);
  return file;
}

test('an orientation that is not known is not invented on writing', async (t) => {
  const file = join(folder(), 'a.nii.gz');
  await writeVolume(file, { ...small, oriented: false });
  t.false((await readVolume(file)).oriented);
  await writeVolume(file, await readVolume(file));
  t.false((await readVolume(file)).oriented);
  // A place that is a guess does not keep a label map from its scan.
  t.is((await evaluate(file, file)).artery?.dice, 1);
  t.is((await evaluate({ ...small, oriented: false }, await readVolume(file))).artery?.dice, 1);
});

test('a spacing that contradicts the affine is refused with both', async (t) => {
  for (const spacingMm of [
    [0.7, 0.7, 2.5],
    [1, 1, 1],
  ] as const) {
    const failing = writeVolume(join(folder(), 'a.nii'), { ...small, spacingMm: [...spacingMm] });
    const error = await t.throwsAsync(failing, { code: 'ERR_GEOMETRY' });
    t.true(error.message.includes(`${spacingMm[2]}`) && error.message.includes('2.5'), error.message);
  }
});

test('a header names files in its own folder or below', async (t) => {
  for (const name of ['../outside.raw', '/etc/hostname', 'a/../../outside.raw']) {
    await t.throwsAsync(readVolume(nrrd(`data file: ${name}`)), { code: 'ERR_FORMAT', message: /own folder or below/ });
  }
});

test('scores never replace what they are made from, by whatever name', async (t) => {
  const directory = folder();
  const at = (name: string) => join(directory, name);
  const [pred, ref, link, twin] = [at('pred.nii.gz'), at('ref.nii.gz'), at('link.json'), at('twin.json')] as const;
  for (const file of [pred, ref]) await writeVolume(file, small);
  symlinkSync(ref, link);
  linkSync(ref, twin);
  const before = readFileSync(ref);
  for (const output of [ref, pred, link, twin, join(directory, '.', 'ref.nii.gz')]) {
    const { status, stderr } = await run(['evaluate', '--pred', pred, '--ref', ref, '-o', output]);
    t.is(status, 2, stderr);
  }
  t.true(readFileSync(ref).equals(before));
  const scores = join(directory, 'scores.json');
  writeFileSync(scores, 'old');
  chmodSync(scores, 0o600);
  t.is((await run(['evaluate', '--pred', pred, '--ref', ref, '-o', scores])).status, 0);
  t.is(statSync(scores).mode & 0o777, 0o600);
});

test('folders are scored whatever the formats, and what has no partner is named', async (t) => {
  const [pred, ref] = [folder(), folder()];
  await writeVolume(join(pred, 'a.nii.gz'), small);
  await writeVolume(join(ref, 'a.nii'), small);
  await writeVolume(join(ref, 'b.nii'), small);
  const raw = Buffer.from(small.data);
  const mha = [
    'ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_UCHAR\nElementSpacing = 0.7 0.7 2.5',
    'TransformMatrix = -1 0 0 0 -1 0 0 0 1\nOffset = -1 -2 3\nElementDataFile = LOCAL\n',
  ].join('\n');
  writeFileSync(join(pred, 'c.mha'), Buffer.concat([Buffer.from(mha), raw]));
  await writeVolume(join(ref, 'c.nii.gz'), small);
  const scored = await run(['evaluate', '--pred', pred, '--ref', ref, '--json']);
  t.is(scored.status, 4);
  interface Told {
    name: string;
    scores?: Scores;
    error?: { code: string };
  }
  const { cases } = JSON.parse(scored.stdout) as { cases: Told[] };
  const told = cases.map(({ name, scores, error }) => [name, scores?.artery?.dice ?? error?.code]);
  t.deepEqual(told, [
    ['a', 1],
    ['b', 'ERR_IO'],
    ['c', 1],
  ]);
  await writeVolume(join(ref, 'c.nii'), small);
  const doubled = await run(['evaluate', '--pred', pred, '--ref', ref]);
  t.is(doubled.status, 2);
  t.regex(doubled.stderr, /two label maps of one name/);
});

test('a volume never replaces its pattern, and a model its weights, by a second name of the file', async (t) => {
  const directory = folder();
  const [scan, twin] = [join(directory, 'scan.nii.gz'), join(directory, 'twin.nii.gz')];
  await writeVolume(scan, small);
  linkSync(scan, twin);
  const before = readFileSync(scan);
  await t.throwsAsync(writeVolume(twin, small, { like: scan }), { code: 'ERR_IO', message: /twin/ });
  t.is((await run(['segment', scan, '-o', twin])).status, 3);
  t.true(readFileSync(scan).equals(before));
  const [model, out] = [join(directory, 'model'), join(directory, 'twin.safetensors')];
  cpSync(findModel('tiny'), model, { recursive: true });
  linkSync(join(model, 'model.safetensors'), out);
  await t.throwsAsync(exportCheckpoint({ model, out }), { code: 'ERR_USAGE', message: /would replace/ });
});

test('labels and probabilities are never one file, by whatever folder', async (t) => {
  const directory = folder();
  const scan = join(directory, 'scan.nii.gz');
  await writeVolume(scan, chest().ct);
  mkdirSync(join(directory, 'out'));
  symlinkSync(join(directory, 'out'), join(directory, 'link'));
  const [output, probabilities] = ['out', 'link'].map((name) => join(directory, name, 'a.nii.gz')) as [string, string];
  const { status, stderr } = await run(['segment', scan, '-o', output, '--probabilities', probabilities]);
  t.is(status, 2, stderr);
  t.deepEqual(listing(join(directory, 'out')), []);
});

test('two processes that add phantoms to one folder do not lose each other’s', async (t) => {
  const out = join(folder(), 'data');
  const seeds = ['5', '6'];
  const ended = await Promise.all(seeds.map((seed) => run(['phantom', '-o', out, '--seed', seed])));
  const listed = Object.keys(JSON.parse(readFileSync(join(out, 'dataset.json'), 'utf8')).cases);
  const made = ended.filter(({ status }) => status === 0).length;
  t.is(listed.length, made);
  for (const { status, stderr } of ended) t.true(status === 0 || (status === 2 && /is adding to/.test(stderr)), stderr);
  t.false(existsSync(join(out, '.pulmoav.lock')));
});

test('the lock of a killed process does not count, that of a living one does', async (t) => {
  const out = folder();
  const file = join(out, '.pulmoav.lock');
  const stale = [String(2 ** 30), String(process.pid), ''];
  for (const holder of stale) {
    writeFileSync(file, holder);
    await phantom({ out, seed: 5 });
    t.false(
      listing(out).some((name) => name.startsWith('.pulmoav')),
      holder,
    );
  }
  writeFileSync(file, String(process.ppid));
  await t.throwsAsync(phantom({ out, seed: 5 }), { code: 'ERR_USAGE', message: /is adding to/ });
  t.true(existsSync(file));
});

test('a result that cannot be printed is said, with status 3', async (t) => {
  if (!existsSync('/dev/full')) {
    t.log('skipped: no /dev/full');
    return t.pass();
  }
  const file = join(folder(), 'a.nii.gz');
  await writeVolume(file, small);
  const { status, stderr } = await run(['info', file, '--json'], '>/dev/full');
  t.is(status, 3);
  t.regex(stderr, /could not be printed/);
});

test('words of a file do not drive a terminal', async (t) => {
  const { status, stderr } = await run(['info', nrrd('endian: little\nspace directions: \u001b[2Jx')]);
  t.is(status, 3);
  t.false(stderr.includes('\u001b'), stderr);
  t.true(stderr.includes('\\x1b'), stderr);
});

test('names that every object has are no recipes', async (t) => {
  const { status, stderr } = await run(['train', root, '-o', join(folder(), 'run'), '--config', 'constructor']);
  t.is(status, 3);
  t.regex(stderr, /neither a recipe/);
});

test('a scan that a memory limit leaves no room for is refused by its header', async (t) => {
  const header = Buffer.alloc(352);
  header.writeInt32LE(348, 0);
  for (const [at, value] of [3, 1024, 1024, 1024, 1, 1, 1, 1].entries()) header.writeInt16LE(value, 40 + 2 * at);
  header.writeInt16LE(2, 70);
  header.writeInt16LE(8, 72);
  for (let at = 0; at < 4; at++) header.writeFloatLE(1, 76 + 4 * at);
  header.writeFloatLE(352, 108);
  header.writeInt16LE(1, 254);
  for (const at of [280, 300, 320]) header.writeFloatLE(1, at);
  header.write('n+1', 344);
  // There is no voxel in the file: whoever reads it says so.
  const scan = join(folder(), 'large.nii');
  writeFileSync(scan, header);
  const limited = await run(['segment', scan, '-o', join(folder(), 'a.nii.gz'), '--max-memory', '512M']);
  t.is(limited.status, 3);
  t.regex(limited.stderr, /ERR_MEMORY/);
  const free = await run(['segment', scan, '-o', join(folder(), 'a.nii.gz')]);
  t.regex(free.stderr, /ERR_FORMAT/);
});

test('a prompt that is too long is said', async (t) => {
  using segmenter = await Segmenter.load({ model: await smallestModel() });
  const { ct } = chest();
  const codes = async (options: SegmentOptions) =>
    (await segmenter.segment(ct, options)).warnings.map(({ code }) => code);
  t.true((await codes({ prompts: ['the left pulmonary artery '.repeat(50)] })).includes('PROMPT_TRUNCATED'));
  t.false((await codes({ prompts: ['left artery'] })).includes('PROMPT_TRUNCATED'));
});

test('an array may be changed or transferred as soon as the call has returned', async (t) => {
  const before = small.data.slice();
  const given = { ...small, data: small.data.slice() };
  const file = join(folder(), 'a.nii.gz');
  const writing = writeVolume(file, given);
  given.data.fill(9);
  structuredClone(given.data.buffer, { transfer: [given.data.buffer] });
  await writing;
  t.deepEqual([...(await readVolume(file)).data], [...before]);
});

test('many thread counts in turn give the same labels', async (t) => {
  const { ct } = chest();
  const model = await smallestModel();
  const labelled = [];
  for (const threads of [1, 2, 3, 4, 1]) {
    using segmenter = await Segmenter.load({ model, threads });
    labelled.push((await segmenter.segment(ct)).labels.data);
  }
  for (const data of labelled) t.true(same(data, labelled[0]));
});
