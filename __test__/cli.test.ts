import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { decode } from 'fast-png';
import { type AnatomyReport, readVolume, writeVolume } from 'pulmoav';
import { object, pulmoav, start } from './command.js';
import { chest, dataset, folder, listing, shared, smallest, smallestModel } from './fixture.js';

const { ct, labels } = chest();
let model: string;
let scan: string;
let labelled: string;
test.before(async () => {
  model = await smallestModel();
  scan = join(folder(), 'scan.nii.gz');
  labelled = join(folder(), 'labels.nii.gz');
  await writeVolume(scan, ct);
  await writeVolume(labelled, labels);
});

const commands = [
  'segment',
  'batch',
  'surface',
  'anatomy',
  'verify',
  'plan',
  'train',
  'evaluate',
  'compare',
  'phantom',
  'import',
  'export',
  'info',
  'text',
  'models',
  'doctor',
  'demo',
  'completion',
];

test.serial('every command has --help, plain and as JSON', async (t) => {
  const main = await pulmoav('--help');
  for (const command of commands) {
    t.regex(main.stdout, new RegExp(`^ +${command} `, 'm'));
    const help = await pulmoav(command, '--help');
    t.is(help.status, 0);
    t.regex(help.stdout, /--json/);
  }
  t.true('text' in object(await pulmoav('segment', '--help', '--json')));
});

test.serial('a reader that goes away ends nothing', async (t) => {
  const { child, ended } = start(['segment', scan, '-o', join(folder(), 'out.nii.gz'), '--model', model, '--json']);
  child.stdout?.destroy();
  child.stderr?.destroy();
  t.is((await ended).status, 0);
});

test.serial('failures have the documented status and one JSON object', async (t) => {
  const directory = folder();
  const output = join(directory, 'out.nii.gz');
  const segment = (...more: string[]) => ['segment', scan, '-o', output, '--model', model, ...more];
  const cases: [string[], number, string][] = [
    [[], 2, 'ERR_USAGE'],
    [['dance'], 2, 'ERR_USAGE'],
    [['segment'], 2, 'ERR_USAGE'],
    [['segment', scan], 2, 'ERR_USAGE'],
    [segment('--colour'), 2, 'ERR_USAGE'],
    [segment('--threads', '0'), 2, 'ERR_USAGE'],
    [segment('--keep-lung'), 2, 'ERR_USAGE'],
    [segment('--keep-lungs=yes'), 2, 'ERR_USAGE'],
    [segment('--max-memory', 'much'), 2, 'ERR_USAGE'],
    [segment('--probabilities', output), 2, 'ERR_USAGE'],
    [segment('--device', 'cuda'), 3, 'ERR_DEVICE'],
    [segment('--prompt', 'banana'), 3, 'ERR_PROMPT'],
    [segment('--max-memory', '1M'), 3, 'ERR_MEMORY'],
    [['segment', 'missing.nii', '-o', output], 3, 'ERR_IO'],
    [['segment', directory, '-o', output], 3, 'ERR_FORMAT'],
    [['segment', scan, '-o', output, '--model', 'none'], 3, 'ERR_MODEL'],
    [['segment', scan, '-o', join(directory, 'no', 'out.nii.gz')], 3, 'ERR_IO'],
    [['anatomy', scan], 2, 'ERR_USAGE'],
    [['anatomy', '-o', directory], 2, 'ERR_USAGE'],
    [['anatomy', scan, '-o', ''], 2, 'ERR_USAGE'],
    [['anatomy', scan, '-o', directory, '--threads', '0'], 2, 'ERR_USAGE'],
    [['anatomy', scan, '-o', directory, '--index', 'first'], 2, 'ERR_USAGE'],
    [['anatomy', scan, '-o', directory, '--model', 'tiny'], 2, 'ERR_USAGE'],
    [['anatomy', 'missing.nii', '-o', join(directory, 'new')], 3, 'ERR_IO'],
    [['anatomy', directory, '-o', directory], 3, 'ERR_FORMAT'],
    [['anatomy', scan, '-o', scan], 3, 'ERR_IO'],
    [['anatomy', scan, '-o', join(scan, 'below')], 3, 'ERR_IO'],
    [['anatomy', scan, '-o', directory, '--index', '5'], 3, 'ERR_GEOMETRY'],
    [['evaluate', '--pred', labelled], 2, 'ERR_USAGE'],
    [['evaluate', '--pred', labelled, '--ref', 'missing.nii'], 3, 'ERR_IO'],
    [['evaluate', '--pred', labelled, '--ref', directory], 2, 'ERR_USAGE'],
    [['evaluate', '--pred', labelled, '--ref', labelled, '-o', join(directory, 'none', 'x.json')], 3, 'ERR_IO'],
    [['evaluate', '--pred', labelled, '--ref', labelled, '--draws', '1'], 2, 'ERR_USAGE'],
    [['evaluate', '--pred', labelled, '--ref', labelled, '--pictures', '2'], 2, 'ERR_USAGE'],
    [['compare', 'missing.json', 'missing.json'], 3, 'ERR_IO'],
    [['compare', labelled, labelled], 3, 'ERR_FORMAT'],
    [['phantom', '-o', directory, '--count', 'many'], 2, 'ERR_USAGE'],
    [['train', directory, '-o', join(directory, 'run'), '--config', 'none.json'], 3, 'ERR_CONFIG'],
    [['train', directory, '-o', join(directory, 'run'), '--max-time', '5'], 2, 'ERR_USAGE'],
    [['info', 'missing.nii'], 3, 'ERR_IO'],
    // A folder that is no model's is taken for DICOM.
    [['info', directory], 3, 'ERR_FORMAT'],
    [['models', 'dance'], 2, 'ERR_USAGE'],
    [['models', 'pull'], 2, 'ERR_USAGE'],
    [['models', 'verify', 'none'], 3, 'ERR_MODEL'],
    [['text', 'artery', '--model', 'none'], 3, 'ERR_MODEL'],
  ];
  for (const [args, status, code] of cases) {
    const ended = await pulmoav(...args, '--json');
    const name = args.join(' ');
    t.is(ended.status, status, `${name}: ${ended.stderr}`);
    const { error } = object(ended);
    t.is(error?.code, code, name);
    t.true(error !== undefined && error.message.length > 10 && 'hint' in error, name);
    t.regex(ended.stderr, /^pulmoav: /m, name);
    t.notRegex(ended.stderr, /\n +at /, `${name}: no stack for what is not our fault`);
  }
  t.deepEqual(
    listing(directory).filter((file) => /gz$|png$|anatomy|^new|^\./.test(file)),
    [],
  );
});

test.serial('OUT = IN and a name of no known kind are refused, and IN stays as it is', async (t) => {
  const directory = folder();
  const input = join(directory, 'scan.nii.gz');
  cpSync(scan, input);
  const before = readFileSync(input);
  for (const output of [input, join(directory, '.', 'scan.nii.gz'), join(directory, 'out.png')]) {
    const ended = await pulmoav('segment', input, '-o', output, '--model', model, '--json');
    t.true(ended.status === 2 || ended.status === 3, ended.stderr);
    t.truthy(object(ended).error);
  }
  t.true(readFileSync(input).equals(before));
  t.deepEqual(listing(directory), ['scan.nii.gz']);
});

test.serial('segment writes labels and probabilities, and its JSON is the contract’s', async (t) => {
  const directory = folder();
  const [output, probabilities] = [join(directory, 'out.nii.gz'), join(directory, 'p.nii.gz')];
  const ended = await pulmoav(
    'segment',
    scan,
    '-o',
    output,
    '--model',
    model,
    '--probabilities',
    probabilities,
    '--json',
  );
  t.is(ended.status, 0, ended.stderr);
  const report = object(ended) as unknown as Record<string, never>;
  t.deepEqual(Object.keys(report), [
    'schemaVersion',
    'output',
    'record',
    'model',
    'folds',
    'licence',
    'citations',
    'device',
    'deviceReason',
    'seconds',
    'memory',
    'tile',
    'clearedInAir',
    'classDoubt',
    'tidied',
    'targets',
    'structures',
    'warnings',
  ]);
  t.deepEqual(Object.keys(report.seconds ?? {}).sort(), [
    'load',
    'network',
    'prepare',
    'restore',
    'tidy',
    'total',
    'write',
  ]);
  t.deepEqual(Object.keys(report.memory ?? {}), ['budgetBytes', 'predictedBytes', 'peakBytes', 'card']);
  t.deepEqual(Object.keys(report.targets?.[0] ?? {}), ['value', 'name', 'prompt', 'voxels', 'volumeMl']);
  t.deepEqual(report.structures, [] as never);
  t.deepEqual(Object.keys(report.warnings?.[0] ?? {}), ['code', 'message']);
  t.deepEqual((await readVolume(output)).shape, ct.shape);
  t.deepEqual((await readVolume(probabilities, { index: 1 })).shape, ct.shape);
  const header = object(await pulmoav('info', probabilities, '--json')) as unknown as Record<string, unknown>;
  t.like(header, { shape: ct.shape, extra: [2], dataType: 'float32', axcodes: 'RAS' });
  t.deepEqual(listing(directory), ['out.nii.gz', 'out.run.json', 'p.nii.gz']);
});

test.serial('segment keeps lungs and airways when told to, and tells people', async (t) => {
  const output = join(folder(), 'out.nii.gz');
  const ended = await pulmoav('segment', scan, '-o', output, '--model', model, '--keep-lungs', '--keep-airways');
  t.is(ended.status, 0, ended.stderr);
  t.regex(ended.stderr, /^10 left lung: [\d.]+ ml\n11 right lung: [\d.]+ ml\n12 airways: [\d.]+ ml$/m);
  const { data } = await readVolume(output);
  t.true(data.includes(10 as never) && data.includes(11 as never));
});

test.serial('anatomy writes a label map, a picture and a report, which is what --json prints', async (t) => {
  const directory = join(folder(), 'new', 'folder');
  const ended = await pulmoav('anatomy', scan, '-o', directory, '--json');
  t.is(ended.status, 0, ended.stderr);
  const report = object(ended) as unknown as AnatomyReport;
  t.deepEqual(Object.keys(report), [
    'schemaVersion',
    'files',
    'structures',
    'carinaMm',
    'seconds',
    'memory',
    'warnings',
  ]);
  t.deepEqual(listing(directory), ['anatomy.json', 'anatomy.nii.gz', 'anatomy.png']);
  t.deepEqual(JSON.parse(readFileSync(report.files.report, 'utf8')), report);
  t.deepEqual(Object.keys(report.seconds).sort(), ['draw', 'find', 'load', 'total', 'write']);
  t.deepEqual(Object.keys(report.structures[0] ?? {}), ['value', 'name', 'voxels', 'volumeMl']);
  const { data, ...place } = await readVolume(report.files.labels);
  const { data: _, ...geometry } = ct;
  t.deepEqual(place, geometry);
  for (const { value, voxels } of report.structures) t.is(data.filter((label) => label === value).length, voxels);
  // The axial view lies leftmost, and the patient's right at the left of it: green there, blue on the other side.
  const { width, height, data: rgb } = decode(readFileSync(report.files.picture));
  const view = Math.round((88 * 3.5) / 0.75);
  const shade = (x: number) => {
    const at = 3 * ((height >> 1) * width + Math.round(x * view));
    return [rgb[at], rgb[at + 1], rgb[at + 2]] as [number, number, number];
  };
  const [right, left] = [shade(24 / 88), shade(64 / 88)];
  t.true(right[1] > right[2] && left[2] > left[1], `${right} ${left}`);
});

test.serial('a folder that the system refuses to make is ERR_IO', async (t) => {
  if (!existsSync('/proc/self')) {
    t.log('skipped: no /proc');
    return t.pass();
  }
  const ended = await pulmoav('anatomy', scan, '-o', '/proc/none', '--json');
  t.is(ended.status, 3, ended.stderr);
  t.is(object(ended).error?.code, 'ERR_IO');
});

test.serial('anatomy writes over its own files, leaves others alone, and never its input', async (t) => {
  const directory = folder();
  writeFileSync(join(directory, 'notes.txt'), 'mine');
  for (let turn = 0; turn < 2; turn++) {
    const ended = await pulmoav('anatomy', scan, '-o', directory);
    t.is(ended.status, 0);
    t.is(ended.stdout, '');
    t.regex(ended.stderr, /^3 left lung: [\d.]+ ml$/m);
  }
  t.deepEqual(listing(directory), ['anatomy.json', 'anatomy.nii.gz', 'anatomy.png', 'notes.txt']);
  const input = join(directory, 'anatomy.nii.gz');
  cpSync(scan, input);
  const refused = await pulmoav('anatomy', input, '-o', directory, '--json');
  t.is(object(refused).error?.code, 'ERR_IO', refused.stderr);
  t.true(readFileSync(input).equals(readFileSync(scan)));
});

test.serial('info, doctor, text and models tell people and programs', async (t) => {
  const header = object(await pulmoav('info', scan, '--json'));
  for (const key of ['shape', 'spacingMm', 'affine', 'axcodes', 'dataType', 'littleEndian', 'sformCode', 'qformCode']) {
    t.true(key in header, key);
  }
  t.regex((await pulmoav('info', scan)).stdout, /48 × 64 × 88 .*int16\n.*RAS/);
  t.true('devices' in object(await pulmoav('doctor', '--json')));
  t.regex((await pulmoav('doctor')).stdout, /cuda: not usable/);
  const text = object(await pulmoav('text', 'artery', '--embeddings', '--json')) as unknown as Record<string, object[]>;
  t.deepEqual(Object.keys(text.prompts?.[0] ?? {}), ['text', 'ids', 'truncated', 'target', 'confidence']);
  t.is(text.embeddings?.length, 1);
  t.regex((await pulmoav('text', 'banana')).stdout, /nothing this model knows/);
  t.true('models' in object(await pulmoav('models', 'list', '--json')));
  t.like(object(await pulmoav('models', 'verify', model, '--json')), { name: 'smallest', preset: 'pulmoav' });
  t.is((await pulmoav('models', 'path', model)).stdout.trim(), model);
});

test.serial('a file with four axes needs --index', async (t) => {
  const file = join(shared, 'nifti/nibabel/example4d.nii.gz');
  if (!existsSync(file)) {
    t.log('skipped: no ../shared/data');
    return t.pass();
  }
  const ended = await pulmoav('segment', file, '-o', join(folder(), 'out.nii.gz'), '--model', model, '--json');
  t.is(ended.status, 3);
  t.is(object(ended).error?.code, 'ERR_GEOMETRY');
});

test.serial('a batch goes on past a case that cannot be scored, and says so with status 4', async (t) => {
  const [pred, ref, out] = [folder(), folder(), join(folder(), 'scores.json')];
  for (const directory of [pred, ref])
    for (const name of ['a', 'c']) cpSync(labelled, join(directory, `${name}.nii.gz`));
  writeFileSync(join(pred, 'b.nii.gz'), 'damaged');
  cpSync(labelled, join(ref, 'b.nii.gz'));
  cpSync(labelled, join(pred, 'd.nii.gz'));
  const ended = await pulmoav('evaluate', '--pred', pred, '--ref', ref, '-o', out, '--json');
  t.is(ended.status, 4, ended.stderr);
  const { cases, mean } = object(ended) as unknown as {
    cases: { name: string; error?: { code: string } }[];
    mean: { artery: { dice: number } };
  };
  t.deepEqual(
    cases.map((one) => [one.name, one.error?.code ?? 'scored']),
    [
      ['a', 'scored'],
      ['b', 'ERR_FORMAT'],
      ['c', 'scored'],
      ['d', 'ERR_IO'],
    ],
  );
  t.is(mean.artery.dice, 1);
  t.deepEqual(JSON.parse(readFileSync(out, 'utf8')), JSON.parse(ended.stdout));
  const single = object(await pulmoav('evaluate', '--pred', labelled, '--ref', labelled, '--json'));
  t.deepEqual(Object.keys(single), [
    'schemaVersion',
    'pred',
    'ref',
    'cases',
    'mean',
    'intervals',
    'bootstrap',
    'unpaired',
    'scores',
  ]);
});

test.serial('train from the command line, with a config file', async (t) => {
  const [data, out, config] = [await dataset(), join(folder(), 'run'), join(folder(), 'config.json')];
  writeFileSync(config, JSON.stringify(smallest));
  const ended = await pulmoav('train', data, '-o', out, '--config', config, '--json');
  t.is(ended.status, 0, ended.stderr);
  t.like(object(ended), { reason: 'finished', step: 1 });
});

for (const [signal, status] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
  test.serial(`${signal} while segmenting ends with ${status} and leaves nothing`, async (t) => {
    const directory = folder();
    // The bundled model, because the test's own is done before a signal arrives.
    const { child, ended } = start(['segment', scan, '-o', join(directory, 'out.nii.gz'), '--model', 'tiny', '--json']);
    child.stderr?.once('data', () => child.kill(signal));
    const end = await ended;
    t.is(end.status, status, end.stderr);
    t.is(object(end).error?.code, 'INTERRUPTED');
    t.deepEqual(listing(directory), []);
  });

  test.serial(`${signal} while making a phantom ends with ${status} and leaves no file`, async (t) => {
    const directory = folder();
    const { child, ended } = start(['phantom', '-o', directory, '--json']);
    // Once: a second signal would end the process without a word.
    const wait = setInterval(() => {
      if (!existsSync(join(directory, 'airwaysTr'))) return;
      clearInterval(wait);
      child.kill(signal);
    }, 20);
    const end = await ended.finally(() => clearInterval(wait));
    t.is(end.status, status, end.stderr);
    object(end);
    t.deepEqual(listing(directory), ['airwaysTr', 'anatomyTr', 'imagesTr', 'labelsTr', 'lungsTr']);
  });
}

test.serial('a full disk is ERR_IO and leaves nothing', async (t) => {
  const disk = folder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    t.log('skipped: no tmpfs can be mounted here');
    return t.pass();
  }
  try {
    const output = join(disk, 'out.nii');
    const ended = await pulmoav('segment', scan, '-o', output, '--model', model, '--json');
    t.is(ended.status, 3, ended.stderr);
    t.is(object(ended).error?.code, 'ERR_IO');
    t.deepEqual(listing(disk), []);
    mkdirSync(join(disk, 'data'));
    const phantom = await pulmoav('phantom', '-o', join(disk, 'data'), '--json');
    t.is(phantom.status, 3, phantom.stderr);
    t.deepEqual(listing(join(disk, 'data')), ['airwaysTr', 'anatomyTr', 'imagesTr', 'labelsTr', 'lungsTr']);
  } finally {
    execFileSync('umount', [disk]);
  }
});
