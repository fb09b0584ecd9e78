import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { encodeText, UsageError, understand } from 'pulmoav';
import { root } from './fixture.js';

test('prompts become ids with start and end, and rows of embeddings', async (t) => {
  const prompts = ['artery', 'A computerized tomography of a left vein'];
  const { ids, embeddings, width } = await encodeText(prompts);
  t.deepEqual(ids[0], [49406, 40062, 49407]);
  t.is(ids[1]?.[0], 49406);
  t.is(ids[1]?.at(-1), 49407);
  t.true(embeddings instanceof Float32Array);
  t.is(embeddings.length, 2 * width);
  t.true(embeddings.every(Number.isFinite));
  const alone = await encodeText(['artery']);
  t.deepEqual(alone.embeddings, embeddings.subarray(0, width), 'a prompt’s row does not depend on its neighbours');
});

test('known prompts have the same answer in any order, and it is the caller’s own', async (t) => {
  const prompts = ['artery', 'left vein'];
  const first = await encodeText(prompts);
  const wanted = { ...first, embeddings: first.embeddings.slice() };
  first.embeddings.fill(0);
  t.deepEqual(await encodeText(prompts), wanted);
  const { ids, embeddings, width } = await encodeText([...prompts].reverse());
  t.deepEqual(ids, [...wanted.ids].reverse());
  t.deepEqual(embeddings.subarray(width), wanted.embeddings.subarray(0, width));
});

test('words that mean nothing the model knows have no target', async (t) => {
  const [artery, banana] = await understand(['artery', 'banana']);
  t.is(artery?.target, 'artery');
  t.is(banana?.target, null);
  t.true((artery?.confidence ?? 0) > 0.5 && (artery?.confidence ?? 2) <= 1);
});

test('long, empty and odd prompts are taken as they are', async (t) => {
  const [long, empty, odd] = await understand(['artery '.repeat(200), '', '🫁 动脉 \u0000']);
  t.is(long?.truncated, true);
  t.is(long?.ids.length, 77);
  t.is(empty?.target, null);
  t.is(odd?.target, null);
});

test('what is no list of strings is refused', async (t) => {
  await t.throwsAsync(understand('artery' as unknown as string[]), { instanceOf: UsageError });
  await t.throwsAsync(encodeText([3] as unknown as string[]), { instanceOf: UsageError });
  await t.throwsAsync(understand(['artery'], { model: 'no such model' }), { code: 'ERR_MODEL' });
  t.deepEqual(await understand([]), []);
  t.is((await encodeText([])).embeddings.length, 0);
});

test('CLIP’s own ViT-B/32 gives the embeddings that it is known for', (t) => {
  const model = process.env.PULMOAV_CLIP;
  if (!model || !existsSync(join(root, '../shared/data/clip'))) {
    t.log('skipped: PULMOAV_CLIP names no folder with the weights, or the expected embeddings are not here');
    return t.pass();
  }
  const bench = ['benches/run.mjs', '--only', 'clip-text', '--model', model, '--no-record'];
  const { status, stderr } = spawnSync(process.execPath, bench, { cwd: root, encoding: 'utf8' });
  t.is(status, 0, stderr);
});
