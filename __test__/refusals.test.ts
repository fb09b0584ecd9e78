import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  anatomy,
  anatomyToFolder,
  batch,
  checkLabels,
  compare,
  encodeText,
  evaluate,
  evaluateFolders,
  exportCheckpoint,
  foretellJob,
  importCheckpoint,
  importNnunet,
  info,
  inspectNnunet,
  listSeries,
  phantom,
  plan,
  pullModel,
  readVolume,
  Segmenter,
  segmentToFile,
  tidy,
  train,
  tree,
  treeToFolder,
  UsageError,
  understand,
  verify,
  writeSurface,
  writeVolume,
} from 'pulmoav';
import { pulmoav } from './command.js';
import { chest, dataset, folder, listing } from './fixture.js';

test('what would be lost or is not there is said before anything is written', async (t) => {
  const [at, scan] = [folder(), join(folder(), 'scan.nii.gz')];
  const [labels, tidied, mesh] = ['labels.nii.gz', 'tidy.nii.gz', 'vessels.stl'].map((name) => join(at, name)) as [
    string,
    string,
    string,
  ];
  await writeVolume(scan, chest().ct);
  await writeVolume(labels, chest().labels);
  const begun = folder();
  writeFileSync(join(begun, 'run.json'), '{}');
  const refused: [string[], number, RegExp][] = [
    // The statistics would take the record's place.
    [['segment', scan, '-o', join(at, 'x.nii.gz'), '--stats', join(at, 'x.run.json')], 2, /would replace/],
    [['tree', scan, '-o', join(at, 'tree')], 3, /scan\.nii.* holds .*is it a scan\?/],
    [['evaluate', '--pred', labels, '--ref', scan], 3, /scan\.nii.* holds/],
    [['evaluate', '--pred', await dataset(), '--ref', at, '--overlap', 'none'], 2, /ignore, artery, vein/],
    [['compare', join(at, 'none.json'), labels], 3, /none\.json" does not exist/],
    [['segment', scan, '-o', join(at, 'x.nii.gz'), '--model', begun], 3, /has no model yet/],
    [['help', 'nothing'], 2, /no command 'nothing'/],
    // The slip is told, not what is missing for it.
    [['segment', scan, '--ouput', labels], 2, /Unknown option '--ouput'\. Did you mean --output\?/],
    [['segment', scan, '--ouput=x.nii'], 2, /Unknown option '--ouput'\. Did you mean --output\?/],
    [['segmnt', scan], 2, /Unknown command 'segmnt'\. Did you mean segment\?/],
    [['info', 'nowhere.nii'], 3, /cannot read nowhere\.nii: No such file or directory \[/],
    [['train', await dataset(), '-o', join(at, 'run'), '--fold', '17'], 3, /no fold 17|fold is 17/],
  ];
  for (const [args, status, words] of refused) {
    const ended = await pulmoav(...args);
    t.is(ended.status, status, `${args.join(' ')}: ${ended.stderr}`);
    t.regex(ended.stderr, words);
  }
  t.deepEqual(
    listing(at).filter((name) => !/^(labels\.nii\.gz|tree)/.test(name)),
    [],
  );
  for (const args of [
    ['tidy', labels, '-o', tidied, '--artery', '7'],
    ['surface', labels, '-o', mesh, '--values', '1,7'],
  ]) {
    const first = await pulmoav(...args);
    t.is(first.status, 0, first.stderr);
    t.regex(first.stderr, /no voxel of the label map has the value 7/);
    t.regex((await pulmoav(...args)).stderr, /is there already/);
    t.is((await pulmoav(...args, '--overwrite')).status, 0);
  }
});

test('a dry run sees what the header does not tell, and places that are not there', async (t) => {
  const at = folder();
  const [scan, cut] = [join(at, 'scan.nii.gz'), join(at, 'cut.nii.gz')];
  await writeVolume(scan, chest().ct);
  const whole = readFileSync(scan);
  writeFileSync(cut, whole.subarray(0, whole.length / 2));
  const dry = (input: string, ...more: string[]) =>
    pulmoav('segment', input, '-o', join(at, 'out.nii.gz'), '--dry-run', ...more);
  t.is((await dry(scan)).status, 0);
  const damaged = await dry(cut);
  t.is(damaged.status, 3);
  t.regex(damaged.stderr, /damaged/);
  for (const [flag, name] of [
    ['--report', 'page.html'],
    ['--stats', 'table.csv'],
    ['--preview', 'picture.png'],
  ] as const) {
    const nowhere = await dry(scan, flag, join(at, 'nowhere', name));
    t.is(nowhere.status, 3, flag);
    t.regex(nowhere.stderr, /the folder ".*nowhere" does not exist/);
  }
  t.deepEqual(listing(at), ['cut.nii.gz', 'scan.nii.gz']);
});

test('a folder that was made for nothing is taken away again', async (t) => {
  const [at, cut] = [folder(), join(folder(), 'cut.nii.gz')];
  await writeVolume(cut, chest().ct);
  const whole = readFileSync(cut);
  writeFileSync(cut, whole.subarray(0, whole.length / 2));
  const out = join(at, 'new', 'folder');
  for (const args of [
    ['anatomy', cut, '-o', out],
    ['tree', cut, '-o', out],
    ['demo', cut, '-o', out],
    ['evaluate', '--pred', cut, '--ref', cut, '--report', out],
  ]) {
    const ended = await pulmoav(...args);
    t.is(ended.status, 3, `${args[0]}: ${ended.stderr}`);
    t.deepEqual(listing(at), [], args[0]);
  }
});

/** Options that are looked at where they are used. */
const ELSEWHERE: Record<string, string[]> = { importCheckpoint: ['prompts', 'windowHu', 'spacingMm'] };

test('an option that nobody knows, or of another kind, is refused, with those that are known', async (t) => {
  using segmenter = await Segmenter.load();
  // What callers without types may hand over.
  const slip = { prompt: ['artery'] } as object;
  const job = { input: 'a.nii', output: 'b.nii', out: 'b', inputs: ['a.nii'], evaluation: '' } as never;
  const calls: Record<string, (options: never) => Promise<unknown>> = {
    load: (options) => Segmenter.load(options),
    segment: (options) => segmenter.segment('a.nii', options),
    foretell: (options) => segmenter.foretell('a.nii', options),
    segmentToFile: (options) => segmentToFile(job, options),
    foretellJob: (options) => foretellJob(job, options),
    batch: (options) => batch(job, options),
    anatomy: (options) => anatomy('a.nii', options),
    anatomyToFolder: (options) => anatomyToFolder({ input: 'a.nii', out: 'b' }, options),
    tree: (options) => tree('a.nii', options),
    treeToFolder: (options) => treeToFolder({ input: 'a.nii', out: 'b' }, options),
    tidy: (options) => tidy('a.nii', options),
    checkLabels: (options) => checkLabels('a.nii', options),
    evaluate: (options) => evaluate('a.nii', 'b.nii', options),
    evaluateFolders: (options) => evaluateFolders('a', 'b', options),
    compare: (options) => compare('a.json', 'b.json', options),
    phantom: (options) => phantom(options),
    plan: (options) => plan('a', options),
    verify: (options) => verify('a', options),
    train: (options) => train(options),
    info: (options) => info('a.nii', options),
    listSeries: (options) => listSeries('a', options),
    readVolume: (options) => readVolume('a.nii', options),
    writeVolume: (options) => writeVolume('a.nii', chest().ct, options),
    writeSurface: (options) => writeSurface('a.nii', 'b.stl', options),
    encodeText: (options) => encodeText(['artery'], options),
    understand: (options) => understand(['artery'], options),
    pullModel: (options) => pullModel('a/b', options),
    importCheckpoint: (options) => importCheckpoint(options),
    exportCheckpoint: (options) => exportCheckpoint(options),
    importNnunet: (options) => importNnunet(options),
    inspectNnunet: (options) => inspectNnunet(options),
  };
  for (const [name, call] of Object.entries(calls)) {
    const refused = await t.throwsAsync(call(slip as never), { instanceOf: UsageError }, name);
    t.is(refused?.message, 'There is no option "prompt".', name);
    t.regex(refused?.hint ?? '', /^Expected one of: /);
    // Each of those that are known refuses a value of another kind, before anything is read.
    const known = refused?.hint?.replace(/^Expected one of: |\.$/g, '').split(', ') ?? [];
    for (const option of known.filter((one) => !ELSEWHERE[name]?.includes(one))) {
      const wrong = option.startsWith('on') ? {} : () => 0;
      const told = await t.throwsAsync(call({ [option]: wrong } as never), { instanceOf: UsageError }, option);
      t.true(told?.message.startsWith(`${option} must be `), `${name}: ${told?.message}`);
    }
  }
  for (const wrong of [7, 'fast', [], null]) {
    await t.throwsAsync(anatomy('a.nii', wrong as never), { instanceOf: UsageError, message: /must be an object/ });
  }
  await t.throwsAsync(info('a.nii', { signal: {} as never }), { instanceOf: UsageError, message: /AbortSignal/ });
  await t.throwsAsync(info('a.nii', { onProgress: 1 as never }), { instanceOf: UsageError, message: /a function/ });
  await t.throwsAsync(batch({ ...(job as object), prompt: 'a' } as never), { message: /no option "input"/ });
  await t.throwsAsync(segmentToFile({ input: 'a.nii', output: 'b.nii', keeplungs: true } as never), {
    message: /no option "keeplungs"/,
  });
});
