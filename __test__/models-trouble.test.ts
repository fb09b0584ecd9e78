import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { findModel, type PullOptions, pullModel, removeModel, verifyModel } from 'pulmoav';
import { folder, root } from './fixture.js';
import { type FakeHub, sendRange } from './hub.js';
import {
  arrived,
  blob,
  clip,
  dropping,
  files,
  half,
  metadata,
  NAME,
  nothingHalf,
  quick,
  rangeOf,
  ranges,
  start,
  weights,
} from './pull.js';

test.serial('a connection that drops is taken up where it broke', async (t) => {
  const fake = await start(clip, { store: dropping(1) });
  await pullModel(NAME, quick);
  t.regex(`${ranges(fake)}`, /^,bytes=[1-9]\d*-$/);
  t.true(readFileSync(join(findModel(NAME), 'model.safetensors')).equals(weights));
});

test.serial('after the last try a later pull goes on', async (t) => {
  const fake = await start(clip, { store: dropping(2) });
  await t.throwsAsync(pullModel(NAME, quick), { code: 'ERR_IO', message: /broke.*\(tried 2 times\)/ });
  nothingHalf(t, true);
  const { size } = lstatSync(`${blob()}.incomplete`);
  await pullModel(NAME, quick);
  t.is(ranges(fake).at(-1), `bytes=${size}-`);
  t.true(readFileSync(blob()).equals(weights));
  t.false(existsSync(`${blob()}.incomplete`));
});

test.serial('a server that ignores Range, or gives another part, makes the file start anew', async (t) => {
  for (const [status, from] of [
    [200, 0],
    [206, 1],
  ] as const) {
    const fake = await start(clip, {
      store: (request, response, bytes) => {
        if (!request.headers.range) return sendRange(request, response, bytes);
        response.writeHead(status, status === 206 ? { 'content-range': rangeOf(bytes, from) } : {});
        response.end(bytes.subarray(from));
      },
    });
    mkdirSync(join(blob(), '..'), { recursive: true });
    writeFileSync(`${blob()}.incomplete`, weights.subarray(0, half));
    await pullModel(NAME, quick);
    t.true(readFileSync(blob()).equals(weights));
    t.is(ranges(fake)[0], `bytes=${half}-`);
    await removeModel(NAME);
  }
});

test.serial('what an earlier pull left damaged is fetched anew, and so is a damaged blob', async (t) => {
  await start();
  mkdirSync(join(blob(), '..'), { recursive: true });
  for (const left of [Buffer.alloc(half, 7), Buffer.alloc(weights.length, 7), Buffer.alloc(weights.length + 5, 7)]) {
    writeFileSync(`${blob()}.incomplete`, left);
    await pullModel(NAME, quick);
    t.true(readFileSync(blob()).equals(weights));
    writeFileSync(blob(), left);
    await t.throwsAsync(verifyModel(NAME), { code: 'ERR_MODEL', message: /damaged/ });
  }
  await pullModel(NAME);
  t.like(await verifyModel(NAME), { kind: 'clip', name: NAME, tensors: 1 });
});

interface Lie {
  answers: FakeHub['answers'];
  code: 'ERR_IO' | 'ERR_FORMAT';
  message: RegExp;
  partial?: boolean;
  retries?: number;
  timeoutMs?: number;
}

const lies: Record<string, Lie> = {
  'another content than its hash': {
    answers: { store: (_request, response, bytes) => response.end(Buffer.alloc(bytes.length, 1)) },
    code: 'ERR_FORMAT',
    message: /whose hash is not the one it named/,
  },
  'a shorter file': {
    answers: { store: (_request, response, bytes) => response.end(bytes.subarray(0, half)) },
    code: 'ERR_FORMAT',
    message: new RegExp(`sends ${half} bytes .* named ${weights.length}`),
    partial: true,
  },
  'less than it says': {
    answers: {
      store: (_request, response, bytes) =>
        response.writeHead(200).write(bytes.subarray(0, half), () => response.end()),
    },
    code: 'ERR_IO',
    message: /sent \d+ of \d+ bytes/,
    partial: true,
  },
  'more than it says': {
    answers: { store: (_request, response, bytes) => response.writeHead(200).end(Buffer.concat([bytes, bytes])) },
    code: 'ERR_FORMAT',
    message: /more than the \d+ bytes/,
    partial: true,
  },
  'a web page instead of the file': {
    answers: { store: (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>') },
    code: 'ERR_FORMAT',
    message: /a web page instead of model\.safetensors/,
    partial: true,
  },
  'a web page instead of the hub': {
    answers: { hub: (_, response) => !!response.writeHead(200, { 'content-type': 'text/html' }).end('<html>') },
    code: 'ERR_FORMAT',
    message: /does not speak as a Hugging Face hub.* web page/,
  },
  'a path as its hash': {
    answers: { hub: metadata({ 'x-linked-etag': '"../../../../evil"' }) },
    code: 'ERR_FORMAT',
    message: /names no hash/,
  },
  'a path as its commit': {
    answers: { hub: metadata({ 'x-repo-commit': '../../evil' }) },
    code: 'ERR_FORMAT',
    message: /names no commit/,
  },
  'no size': {
    answers: { hub: metadata({ 'x-linked-size': 'many' }) },
    code: 'ERR_FORMAT',
    message: /names no size/,
  },
  'redirects in a circle': {
    answers: { hub: (request, response) => !!response.writeHead(302, { location: `${request.url}` }).end() },
    code: 'ERR_IO',
    message: /redirects in a circle/,
  },
  'a redirect to a file': {
    answers: { hub: (_, response) => !!response.writeHead(302, { location: 'file:///etc/passwd' }).end() },
    code: 'ERR_IO',
    message: /not safe to follow/,
  },
  'errors of its own': {
    answers: { store: (_request, response) => response.writeHead(503).end('busy') },
    code: 'ERR_IO',
    message: /answered 503 \(tried 2 times\)/,
    partial: true,
    retries: 1,
  },
  'a stream that stalls': {
    answers: { store: (_request, response, bytes) => response.write(bytes.subarray(0, half)) },
    code: 'ERR_IO',
    message: /was silent for 0\.25 s/,
    timeoutMs: 250,
    partial: true,
  },
  'no answer at all': {
    answers: { hub: () => true },
    code: 'ERR_IO',
    message: /was silent for 0\.25 s \(tried once\)/,
    timeoutMs: 250,
  },
};

for (const [lie, { answers, code, message, partial = false, retries = 0, timeoutMs }] of Object.entries(lies)) {
  test.serial(`a hub that gives ${lie} is told in one sentence, and nothing half is kept`, async (t) => {
    await start(clip, answers);
    const error = await t.throwsAsync(pullModel(NAME, { timeoutMs, retries }), { code, message });
    t.notRegex(error?.message ?? '', /\n/);
    nothingHalf(t, partial);
  });
}

test.serial('a slow server is waited for as long as something comes', async (t) => {
  await start(clip, {
    store: async (_request, response, bytes) => {
      for (let at = 0; at < bytes.length; at += 60_000) {
        response.write(bytes.subarray(at, at + 60_000));
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      response.end();
    },
  });
  await pullModel(NAME, { timeoutMs: 1000, retries: 0 });
  t.true(readFileSync(blob()).equals(weights));
});

test.serial('no host, no model and no permission are told apart', async (t) => {
  const fake = await start(clip, { hub: (_, response) => !!response.writeHead(401).end() });
  await t.throwsAsync(pullModel(NAME), { code: 'ERR_MODEL', message: /no such model on the hub, or not for you/ });
  fake.hub.close();
  await t.throwsAsync(pullModel(NAME, quick), { code: 'ERR_IO', message: /ECONNREFUSED/ });
  process.env.HF_ENDPOINT = 'http://nowhere.invalid';
  await t.throwsAsync(pullModel(NAME, { retries: 0 }), { code: 'ERR_IO', message: /nowhere\.invalid/ });
  process.env.HF_ENDPOINT = 'ftp://nowhere.invalid';
  await t.throwsAsync(pullModel(NAME), { code: 'ERR_CONFIG' });
});

test.serial('an abort, or what a listener throws, ends the pull and leaves what came', async (t) => {
  await start(clip, { store: (_request, response, bytes) => response.writeHead(200).write(bytes.subarray(0, half)) });
  const reason = new Error('enough');
  const controller = new AbortController();
  const patient: PullOptions = { timeoutMs: 60_000, signal: controller.signal };
  arrived(half).then(() => controller.abort(reason));
  t.is(await t.throwsAsync(pullModel(NAME, patient)), reason);
  nothingHalf(t, true);
  t.is(await t.throwsAsync(pullModel(NAME, patient)), reason, 'a signal that is aborted already');
  const throwing = () => {
    throw reason;
  };
  t.is(await t.throwsAsync(pullModel(NAME, { onProgress: throwing })), reason);
  await start(clip, { hub: () => true });
  const unanswered = pullModel(NAME, { signal: AbortSignal.timeout(50) });
  t.is(await unanswered.catch(({ name }) => name), 'TimeoutError');
});

test.serial('a disk that is full, and a cache that cannot be written, are ERR_IO', async (t) => {
  await start();
  mkdirSync(join(blob(), '..'), { recursive: true });
  if (existsSync('/dev/full')) {
    fs.symlinkSync('/dev/full', `${blob()}.incomplete`);
    await t.throwsAsync(pullModel(NAME), { code: 'ERR_IO', message: /^The disk of ".*blobs" is full\.$/ });
  }
  const huge = { 'x-linked-size': '9007199254740991' };
  const fake = await start(clip, { hub: metadata(huge) });
  await t.throwsAsync(pullModel(NAME), { code: 'ERR_IO', message: /needs \d+ bytes, but ".*" has \d+ left/ });
  t.is(fake.store.seen.length, 0);
  process.env.HF_HUB_CACHE = join(folder(), 'file');
  writeFileSync(process.env.HF_HUB_CACHE, '');
  await t.throwsAsync(pullModel(NAME), { code: 'ERR_IO' });
});

test.serial('two pulls of one model do not write one file', async (t) => {
  await start();
  const both = await Promise.allSettled([pullModel(NAME), pullModel(NAME)]);
  t.is(both.filter(({ status }) => status === 'fulfilled').length, 1);
  const refused = both.find((one) => one.status === 'rejected');
  t.regex(`${refused?.reason}`, /IoError: config\.json is being downloaded by another pull/);
  t.true(readFileSync(blob()).equals(weights));
});

test.serial('a pull killed in the middle leaves only what is incomplete, and the next goes on', async (t) => {
  const fake = await start(clip, { store: (_request, response, bytes) => response.write(bytes.subarray(0, half)) });
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'models', 'pull', NAME], { env: process.env });
  const ended = once(child, 'close');
  await arrived(half);
  child.kill('SIGKILL');
  await ended;
  nothingHalf(t, true);
  delete fake.answers.store;
  await pullModel(NAME);
  t.is(ranges(fake).at(-1), `bytes=${half}-`);
  t.deepEqual(
    files().filter((file) => file.endsWith('.incomplete')),
    [],
  );
});
