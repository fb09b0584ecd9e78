import { spawnSync } from 'node:child_process';
import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { decode } from 'fast-png';
import { readVolume, Segmenter, writeVolume } from 'pulmoav';
import { object, pulmoav } from './command.js';
import { chest, folder, listing, root, same, smallestModel } from './fixture.js';

let model: string;
let scan: string;
test.before(async () => {
  model = await smallestModel();
  scan = join(folder(), 'scan.nii.gz');
  await writeVolume(scan, chest().ct);
});

test('a picture and a table are written beside the labels, never over them', async (t) => {
  const at = folder();
  const output = join(at, 'labels.nii.gz');
  const [png, csv] = [join(at, 'labels.png'), join(at, 'labels.csv')];
  const run = (...flags: string[]) => pulmoav('segment', scan, '-o', output, '--model', model, '--overwrite', ...flags);
  t.is((await run('--preview', png, '--stats', csv)).status, 0);
  t.true(decode(readFileSync(png)).width > 0);
  t.regex(readFileSync(csv, 'utf8'), /^name,value,voxels,volumeMl\nartery,1,\d+,[\d.]+\n/);
  t.deepEqual(listing(at), ['labels.csv', 'labels.nii.gz', 'labels.png', 'labels.run.json']);
  for (const wrong of [
    ['--preview', output],
    ['--stats', join(at, 'labels.txt')],
    ['--stats', scan],
  ]) {
    t.is((await run(...wrong)).status, 2, wrong.join(' '));
  }
});

test('progress is told as JSON, line by line, or not at all', async (t) => {
  const output = join(folder(), 'labels.nii.gz');
  const run = (mode: string) =>
    pulmoav('segment', scan, '-o', output, '--model', model, '--overwrite', '--progress', mode);
  const { status, stderr } = await run('json');
  t.is(status, 0);
  const events = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.deepEqual(new Set(events.map(({ type }) => type)), new Set(['progress', 'message']));
  // Which stages are seen depends on the pace; the last state is always told.
  const told = events.filter(({ type }) => type === 'progress');
  t.true(told.every(({ stage, done, total }) => typeof stage === 'string' && done >= 0 && done <= total));
  t.is(told.at(-1)?.done, told.at(-1)?.total);
  t.notRegex((await run('none')).stderr, /^(prepare|network|restore)/m);
  const wrong = await run('loud');
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /--progress takes one of auto, json, none/);
});

test('a label map that is there is replaced only when that is asked for', async (t) => {
  const output = join(folder(), 'labels.nii.gz');
  const run = (...flags: string[]) => pulmoav('segment', scan, '-o', output, '--model', model, ...flags);
  writeFileSync(output, 'mine');
  const refused = await run('--json');
  t.is(refused.status, 2);
  t.regex(object(refused).error?.message ?? '', /is there already/);
  t.is((await run('--dry-run')).status, 2);
  t.is(readFileSync(output, 'utf8'), 'mine');
  t.is((await run('--overwrite')).status, 0);
});

test('a dry run foretells and writes nothing', async (t) => {
  const at = folder();
  const output = join(at, 'labels.nii.gz');
  const run = (...flags: string[]) => pulmoav('segment', scan, '-o', output, '--model', model, '--dry-run', ...flags);
  const told = object(await run('--json')) as unknown as Record<string, number>;
  t.deepEqual(told.shape, [48, 64, 88]);
  for (const name of ['tiles', 'memoryBytes', 'seconds']) t.true((told[name] ?? 0) > 0, name);
  const dense = object(await run('--json', '--quality', 'best')) as unknown as Record<string, number>;
  t.true((dense.tiles ?? 0) >= (told.tiles ?? 0));
  const plain = await run();
  t.is(plain.status, 0, plain.stderr);
  t.regex(plain.stdout, /windows of .*\nabout \d+ s with \d+ threads, at most [\d.]+ [MG]iB\nnothing was written/);
  t.is((await run('--max-memory', '1M')).status, 3);
  t.deepEqual(listing(at), []);
});

test('scans come by standard input and label maps go to standard output', async (t) => {
  const output = join(folder(), 'labels.nii');
  t.is((await pulmoav('segment', scan, '-o', output, '--model', model)).status, 0);
  const command = join(root, 'dist/cli/main.js');
  const piped = (args: string[], input: Buffer) =>
    spawnSync(process.execPath, [command, 'segment', ...args, '--model', model], { input, maxBuffer: 1 << 28 });
  const both = piped(['-', '-o', '-'], readFileSync(scan));
  t.is(both.status, 0, both.stderr.toString());
  const piece = join(folder(), 'piped.nii');
  writeFileSync(piece, both.stdout);
  t.true(same((await readVolume(piece)).data, (await readVolume(output)).data));
  const packed = piped(['-', '-o', '-', '--format', 'seg.nrrd'], readFileSync(scan));
  t.is(packed.stdout.subarray(0, 4).toString(), 'NRRD');
  const empty = piped(['-', '-o', '-'], Buffer.alloc(0));
  t.is(empty.status, 3);
  t.regex(empty.stderr.toString(), /^pulmoav: standard input: is empty.*ERR_FORMAT/m);
  t.is(piped(['-', '-', '-o', '-'], Buffer.alloc(0)).status, 2);
  t.is(piped(['-', '-o', '-', '--json'], readFileSync(scan)).status, 2);
  // A name that does not tell gets the format's ending, and one that tells another is an error.
  const bare = join(folder(), 'labels');
  t.is((await pulmoav('segment', scan, '-o', bare, '--format', 'mha', '--model', model)).status, 0);
  t.true(existsSync(`${bare}.mha`));
  t.is((await pulmoav('segment', scan, '-o', `${bare}.nii`, '--format', 'mha', '--model', model)).status, 2);
});

test('strict makes a failure of every warning and writes nothing', async (t) => {
  const at = folder();
  const flat = join(at, 'flat.nii.gz');
  const { ct } = chest();
  await writeVolume(flat, { ...ct, data: new Int16Array(ct.data.length).fill(40) });
  const output = join(at, 'labels.nii.gz');
  const run = (...flags: string[]) => pulmoav('segment', flat, '-o', output, '--model', model, '--json', ...flags);
  const refused = await run('--strict');
  t.is(refused.status, 3);
  t.is(object(refused).error?.code, 'ERR_STRICT');
  t.regex(object(refused).error?.message ?? '', /EMPTY_RESULT/);
  t.deepEqual(listing(at), ['flat.nii.gz']);
  t.is((await run()).status, 0);
});

test('quality decides how far windows overlap and which are mirrored', async (t) => {
  const times = new Map<string, Uint8Array>();
  for (const quality of ['fast', 'normal', 'best'] as const) {
    using segmenter = await Segmenter.load({ model, quality });
    times.set(quality, (await segmenter.segment(scan)).labels.data);
    const own = await segmenter.segment(scan, { mirror: true });
    if (quality === 'best') t.true(same(own.labels.data, times.get('best') ?? new Uint8Array()));
  }
  using plain = await Segmenter.load({ model });
  t.true(same((await plain.segment(scan)).labels.data, times.get('normal') ?? new Uint8Array()));
  await t.throwsAsync(Segmenter.load({ model, quality: 'slow' as never }), { code: 'ERR_USAGE' });
});

test('bytes of a file, at once or as a stream, are labelled as the file is', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const wanted = (await segmenter.segment(scan)).labels.data;
  const bytes = readFileSync(scan);
  const answer = segmenter.segment(bytes);
  // What is handed over is copied first.
  bytes.fill(0);
  t.true(same((await answer).labels.data, wanted));
  t.true(same((await segmenter.segment(createReadStream(scan))).labels.data, wanted));
  await t.throwsAsync(segmenter.segment(new Uint8Array(10)), { code: 'ERR_FORMAT' });
  const controller = new AbortController();
  controller.abort(new Error('enough'));
  await t.throwsAsync(segmenter.segment(readFileSync(scan), { signal: controller.signal }), { message: 'enough' });
});

test('completions name every command and its flags', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { status, stdout } = await pulmoav('completion', shell);
    t.is(status, 0);
    t.true(stdout.includes('dry-run') && stdout.includes('anatomy'), shell);
  }
  const { stdout } = await pulmoav('completion', 'bash');
  const ask = `${stdout}\nCOMP_WORDS=(pulmoav segment --dr) COMP_CWORD=2; _pulmoav; echo "\${COMPREPLY[@]}"`;
  t.is(spawnSync('bash', ['-c', ask], { encoding: 'utf8' }).stdout.trim(), '--dry-run');
  t.is((await pulmoav('completion', 'tcsh')).status, 2);
});
