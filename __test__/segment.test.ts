import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import {
  type ErrorCode,
  isPulmoavError,
  readVolume,
  Segmenter,
  StrictError,
  UsageError,
  verifyModel,
  writeVolume,
} from 'pulmoav';
import { chest, folder, same, smallChest, smallestModel } from './fixture.js';

const { ct } = chest();
let model: string;
test.before(async () => {
  // Enough to find something.
  model = await smallestModel(160);
});

/** A copy of the model that `spoil` has been at. */
function spoilt(spoil: (directory: string) => void): string {
  const copy = join(folder(), 'model');
  cpSync(model, copy, { recursive: true });
  spoil(copy);
  return copy;
}

const weights = (directory: string) => join(directory, 'model.safetensors');

test('a label map lies on the scan’s own grid, and its counts are the targets’', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const { labels, targets, seconds, memory, tile, warnings, probabilities } = await segmenter.segment(ct);
  const { data: _, ...geometry } = ct;
  const { data: __, ...found } = labels;
  t.deepEqual(found, geometry);
  t.true(labels.data instanceof Uint8Array);
  t.deepEqual(
    targets.map(({ name, value }) => [name, value]),
    [
      ['artery', 1],
      ['vein', 2],
    ],
  );
  t.true(targets.some(({ voxels }) => voxels > 100));
  for (const { value, voxels, volumeMl } of targets) {
    t.is(labels.data.filter((label) => label === value).length, voxels);
    t.true(Math.abs(volumeMl - voxels * 0.049) < 1e-6 * Math.max(1, volumeMl));
  }
  t.deepEqual(Object.keys(seconds), ['load', 'prepare', 'network', 'restore', 'tidy', 'total']);
  t.true(memory.predictedBytes > 0 && memory.peakBytes > 0);
  t.is(memory.budgetBytes, null);
  // Of 32³ voxels, shortened where fewer do; a network of two scales halves them once.
  t.true(tile.every((edge) => edge > 20 && edge <= 32 && edge % 2 === 0));
  // What so small a network finds is in no proportion, and in doubt.
  t.deepEqual(
    warnings.map(({ code }) => code).filter((code) => !['IMPLAUSIBLE_RESULT', 'CLASSES_UNCLEAR'].includes(code)),
    ['COARSE_SPACING', 'NOT_TIDIED'],
  );
  t.is(probabilities, undefined);
});

test('a path gives what its volume gives, for any number of threads', async (t) => {
  const path = join(folder(), 'chest.nii.gz');
  await writeVolume(path, ct);
  using one = await Segmenter.load({ model, threads: 1 });
  using two = await Segmenter.load({ model, threads: 2 });
  const asked = { probabilities: true };
  const [first, second] = [await one.segment(path, asked), await two.segment(await readVolume(path), asked)];
  t.true(same(first.labels.data, second.labels.data));
  t.true(same(first.probabilities, second.probabilities));
});

test('probabilities stand prompt by prompt, between 0 and 1, and decide the labels', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const asked = { prompts: ['vein', 'artery'], probabilities: true, tidy: false };
  const { labels, probabilities, targets } = await segmenter.segment(ct, asked);
  t.deepEqual(
    targets.map(({ name, prompt }) => [name, prompt]),
    [
      ['vein', 'vein'],
      ['artery', 'artery'],
    ],
  );
  t.is(probabilities?.length, 2 * ct.data.length);
  t.true(probabilities?.every((value) => value >= 0 && value <= 1));
  const sure = labels.data.every(
    (label, voxel) => label === 0 || (probabilities?.[voxel + (2 - label) * ct.data.length] ?? 0) > 0.5,
  );
  t.true(sure, 'a labelled voxel has more than 0.5');
});

test('lungs and airways fill what vessels leave, above the model’s values, and change no vessel', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const alone = await segmenter.segment(ct);
  t.deepEqual(alone.structures, []);
  const { labels, targets, structures } = await segmenter.segment(ct, { keepLungs: true, keepAirways: true });
  t.deepEqual(targets, alone.targets);
  t.deepEqual(
    structures.map(({ value, name }) => [value, name]),
    [
      [10, 'left lung'],
      [11, 'right lung'],
      [12, 'airways'],
    ],
  );
  t.true((structures[0]?.voxels ?? 0) > 10_000 && (structures[1]?.voxels ?? 0) > 10_000);
  t.true(labels.data.every((label, voxel) => label === (label < 10 ? alone.labels.data[voxel] : label)));
  for (const { value, voxels } of structures) t.is(labels.data.filter((label) => label === value).length, voxels);
  const { structures: airways } = await segmenter.segment(ct, { keepAirways: true });
  t.deepEqual(
    airways.map(({ value }) => value),
    [12],
  );
  const wrong = segmenter.segment(ct, { keepLungs: 'yes' as unknown as boolean });
  await t.throwsAsync(wrong, { instanceOf: UsageError, message: /keepLungs/ });
});

test('an empty label map says why, and what to check', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const water = { ...ct, data: ct.data.map((hu) => (hu > -1000 && hu < -700 ? 40 : hu)) };
  const { targets, warnings } = await segmenter.segment(water);
  t.true(targets.every(({ voxels }) => voxels === 0));
  const empty = warnings.find(({ code }) => code === 'EMPTY_RESULT');
  t.regex(empty?.message ?? '', /no lungs .* chest CT in Hounsfield units .* orientation/);
});

test('labels are post-processed as the plan says, unless asked otherwise', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const [own, tidied, raw] = [
    await segmenter.segment(ct),
    await segmenter.segment(ct, { postprocess: true }),
    await segmenter.segment(ct, { postprocess: false }),
  ];
  t.true(same(own.labels.data, tidied.labels.data));
  t.is(raw.tidied, null);
  t.is(raw.clearedInAir, 0);
  const cleaned = await segmenter.segment(ct, { postprocess: true, tidy: false });
  t.true(raw.labels.data.every((label, at) => label !== 0 || cleaned.labels.data[at] === 0));
  const wrong = 'no' as unknown as boolean;
  await t.throwsAsync(segmenter.segment(ct, { postprocess: wrong }), { instanceOf: UsageError });
});

test('each branch gets one class where that was not refused, and what changed is counted', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const fine = smallChest().ct;
  const [own, asked, raw] = [
    await segmenter.segment(fine),
    await segmenter.segment(fine, { tidy: true }),
    await segmenter.segment(fine, { tidy: false }),
  ];
  t.true(same(own.labels.data, asked.labels.data));
  t.is(raw.tidied, null);
  const { tidied } = own;
  if (!tidied) return t.fail('it was not tidied');
  const { changed, bridged, dropped, looseBefore, looseAfter } = tidied;
  const differ = own.labels.data.filter((label, at) => label !== raw.labels.data[at]).length;
  t.true(differ <= changed.voxels + bridged.voxels + dropped.voxels);
  t.true(looseAfter.pieces <= looseBefore.pieces);
  // One class alone, and voxels of 49 mm³.
  const [half, coarse] = [
    await segmenter.segment(fine, { prompts: ['artery'], tidy: true }),
    await segmenter.segment(ct),
  ];
  for (const { tidied, warnings } of [half, coarse]) {
    t.is(tidied, null);
    t.true(warnings.some(({ code }) => code === 'NOT_TIDIED'));
  }
  t.not((await segmenter.segment(ct, { tidy: true })).tidied, null);
  const wrong = 'no' as unknown as boolean;
  await t.throwsAsync(segmenter.segment(ct, { tidy: wrong }), { instanceOf: UsageError, message: /tidy/ });
});

test('strict makes a failure of what would be a warning, and changes nothing else', async (t) => {
  using segmenter = await Segmenter.load({ model });
  await t.throwsAsync(segmenter.segment(ct, { strict: true }), { instanceOf: StrictError, message: /COARSE_SPACING/ });
  const affine = ct.affine.map((value, at) => (at < 12 && value !== 0 && at % 4 < 3 ? 3 * Math.sign(value) : value));
  const fine = { ...ct, affine, spacingMm: [3, 3, 3] as [number, number, number] };
  const asked = { prompts: ['artery'] };
  const [usual, strict] = [
    await segmenter.segment(fine, asked),
    await segmenter.segment(fine, { ...asked, strict: true }),
  ];
  t.true(same(usual.labels.data, strict.labels.data));
  await t.throwsAsync(segmenter.segment(ct, { strict: 1 as unknown as boolean }), { instanceOf: UsageError });
});

test('prompts the model does not know, or knows twice, are refused', async (t) => {
  using segmenter = await Segmenter.load({ model });
  for (const prompts of [['banana'], ['artery', 'arteries'], []]) {
    const failing = segmenter.segment(ct, { prompts });
    if (prompts.length === 0) await t.notThrowsAsync(failing);
    else await t.throwsAsync(failing, { code: 'ERR_PROMPT' }, prompts.join());
  }
  await t.throwsAsync(segmenter.segment(ct, { prompts: 'artery' as unknown as string[] }), { instanceOf: UsageError });
});

test('what cannot be segmented is one typed error', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const cases: [Promise<unknown>, ErrorCode][] = [
    [segmenter.segment('no-such-file.nii.gz'), 'ERR_IO'],
    [segmenter.segment(folder()), 'ERR_FORMAT'],
    [segmenter.segment({ ...ct, shape: [1, 2, 3] }), 'ERR_USAGE'],
    [segmenter.segment(ct, { maxMemory: 1_000_000 }), 'ERR_MEMORY'],
    [segmenter.segment(ct, { maxMemory: 0 }), 'ERR_USAGE'],
    [segmenter.segment({ ...ct, affine: new Array<number>(16).fill(0) }), 'ERR_GEOMETRY'],
  ];
  for (const [failing, code] of cases) await t.throwsAsync(failing, { code }, code);
});

test('a missing, foreign or corrupt model is ERR_MODEL', async (t) => {
  const size = readFileSync(weights(model)).length;
  const models: Record<string, string> = {
    missing: join(folder(), 'nothing'),
    'no model': folder(),
    'no plan.json': spoilt((directory) => truncateSync(join(directory, 'plan.json'))),
    'another plan.json': spoilt((directory) => edit(join(directory, 'plan.json'), '"smallest"', '"smaller"')),
    empty: spoilt((directory) => truncateSync(weights(directory))),
    'cut in the header': spoilt((directory) => truncateSync(weights(directory), 100)),
    'cut in the middle': spoilt((directory) => truncateSync(weights(directory), size >> 1)),
    'cut at the end': spoilt((directory) => truncateSync(weights(directory), size - 1)),
    'flipped in the length': spoilt((directory) => flip(weights(directory), 2)),
    'flipped in the header': spoilt((directory) => flip(weights(directory), 30)),
    'not safetensors': spoilt((directory) => writeFileSync(weights(directory), 'weights '.repeat(1000))),
  };
  for (const [name, path] of Object.entries(models)) {
    for (const failing of [Segmenter.load({ model: path }), verifyModel(path)]) {
      const error = await failing.catch((reason: unknown) => reason);
      t.true(isPulmoavError(error) && error.code === 'ERR_MODEL', `${name}: ${error}`);
    }
  }
});

test('a device that is not there is ERR_DEVICE', async (t) => {
  await t.throwsAsync(Segmenter.load({ model, device: 'cuda' }), { code: 'ERR_DEVICE', message: /CPU/ });
  await t.throwsAsync(Segmenter.load({ model, device: 'abacus' }), { code: 'ERR_DEVICE', message: /abacus/ });
  await t.throwsAsync(Segmenter.load({ model, threads: 0 }), { instanceOf: UsageError });
});

test('a segmenter can be disposed twice and not be used afterwards', async (t) => {
  const segmenter = await Segmenter.load({ model });
  segmenter.dispose();
  segmenter.dispose();
  await t.throwsAsync(segmenter.segment(ct), { instanceOf: UsageError, message: /disposed/ });
});

test('disposing while a scan is worked on lets it end', async (t) => {
  const segmenter = await Segmenter.load({ model });
  const running = segmenter.segment(ct);
  segmenter.dispose();
  await t.notThrowsAsync(running);
});

test('an aborted signal rejects with its reason, before and during the work', async (t) => {
  using segmenter = await Segmenter.load(); // the bundled model, whose work lasts
  const reason = new Error('enough');
  await t.throwsAsync(segmenter.segment(ct, { signal: AbortSignal.abort(reason) }), { is: reason });
  const failure = await segmenter.segment(ct, { signal: AbortSignal.abort() }).catch((thrown: unknown) => thrown);
  t.is((failure as DOMException).name, 'AbortError');
  const controller = new AbortController();
  const running = segmenter.segment(ct, {
    signal: controller.signal,
    onProgress: ({ stage }) => stage === 'network' && controller.abort(reason),
  });
  await t.throwsAsync(running, { is: reason });
  await t.notThrowsAsync(segmenter.segment(ct), 'and the segmenter works on');
});

test('a call that waits its turn is cancelled at once', async (t) => {
  using segmenter = await Segmenter.load(); // the bundled model, whose work lasts
  const reason = new Error('enough');
  const controller = new AbortController();
  const { signal } = controller;
  let hasEnded = false;
  const running = segmenter.segment(ct).then(() => {
    hasEnded = true;
  });
  const waiting = [segmenter.segment(ct, { signal }), Segmenter.load({ signal })];
  setTimeout(() => controller.abort(reason), 20);
  for (const call of waiting) await t.throwsAsync(call, { is: reason });
  t.false(hasEnded, 'the call before is still at work');
  await t.notThrowsAsync(running);
  await t.notThrowsAsync(segmenter.segment(ct), 'and the queue goes on');
});

test('a refused prompt is told before the scan is read', async (t) => {
  using segmenter = await Segmenter.load({ model });
  const missing = join(folder(), 'missing.nii.gz');
  for (const prompts of [['spleen'], ['artery', 'arteries']]) {
    await t.throwsAsync(segmenter.segment(missing, { prompts }), { code: 'ERR_PROMPT' }, prompts.join());
  }
  await t.throwsAsync(segmenter.segment(missing, { prompts: ['artery'] }), { code: 'ERR_IO' });
});

test('progress comes stage by stage; a listener that throws ends the call with what it threw', async (t) => {
  using segmenter = await Segmenter.load(); // the bundled model, whose work lasts
  const stages = new Set<string>();
  await segmenter.segment(ct, {
    onProgress: ({ stage, done, total }) => {
      stages.add(stage);
      t.true(done >= 0 && done <= total);
    },
  });
  t.true(stages.has('network'), [...stages].join());
  const reason = new Error('broken listener');
  const listener = () => {
    throw reason;
  };
  await t.throwsAsync(segmenter.segment(ct, { onProgress: listener }), { is: reason });
});

test('the event loop goes on while the network computes', async (t) => {
  using segmenter = await Segmenter.load(); // the bundled model, whose work lasts
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  const { seconds } = await segmenter.segment(ct);
  clearInterval(timer);
  t.true(longest < Math.max(200, 500 * seconds.total), `the loop stood still for ${longest} ms of ${seconds.total} s`);
});

function edit(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${path} has no ${from}`);
  writeFileSync(path, text.replace(from, to));
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x40;
  writeFileSync(path, bytes);
}
