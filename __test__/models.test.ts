import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  findModel,
  listModels,
  type Progress,
  type PulledModel,
  type PullOptions,
  pullModel,
  removeModel,
  Segmenter,
  verifyModel,
} from 'pulmoav';
import { folder, listing, root } from './fixture.js';
import { type Contents, commitOf, type FakeHub, fakeHub, gitSha1, Host, sendRange, sha256 } from './hub.js';

const NAME = 'someone/clip';
const quick = { timeoutMs: 5000, retries: 1 };

const weights = safetensors(300_000);
const config = Buffer.from(JSON.stringify({ model_type: 'clip', text_config: {} }));
const clip: Contents = { main: { 'config.json': config, 'model.safetensors': weights } };
const half = weights.length / 2;

const hosts: Host[] = [];
let cache: string;

test.beforeEach(() => {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'HF_TOKEN', 'HF_HUB_OFFLINE', 'HF_HUB_CACHE']) {
    delete process.env[name];
    delete process.env[name.toLowerCase()];
  }
  process.env.HF_HOME = folder();
  cache = join(process.env.HF_HOME, 'hub');
});
test.afterEach.always(() => {
  for (const host of hosts.splice(0)) host.close();
});

/** A safetensors file with one tensor of the text model. */
function safetensors(bytes: number, extra: object = {}): Buffer {
  const tensor = { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] };
  const header = JSON.stringify({ 'text_model.embeddings.token_embedding.weight': tensor, ...extra });
  const text = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([prefix, text, Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => (at * 31) >> 3))]);
}

async function start(contents = clip, answers: FakeHub['answers'] = {}): Promise<FakeHub> {
  const fake = await fakeHub(contents, answers);
  hosts.push(fake.hub, fake.store);
  process.env.HF_ENDPOINT = fake.hub.address;
  return fake;
}

const ranges = ({ store }: FakeHub) =>
  store.seen.filter(({ method }) => method === 'GET').map((one) => one.headers.range);
const blob = (name = NAME) => join(cache, `models--${name.replace('/', '--')}`, 'blobs', sha256(weights));
const files = () =>
  existsSync(cache) ? listing(cache).filter((file) => !lstatSync(join(cache, file)).isDirectory()) : [];

/** That nothing stands under a final name but what was right: the weights were not. */
function nothingHalf(t: ExecutionContext, partial: boolean): void {
  const kept = files().filter((file) => !file.endsWith(gitSha1(config)) && !file.endsWith('config.json'));
  t.deepEqual(
    kept.filter((file) => !file.endsWith('.incomplete')),
    [],
  );
  t.is(existsSync(`${blob()}.incomplete`), partial);
  t.throws(() => findModel(NAME), { code: 'ERR_MODEL' });
}

/** Waits until so many bytes of the weights are here. */
async function arrived(bytes: number): Promise<void> {
  const size = () => lstatSync(`${blob()}.incomplete`, { throwIfNoEntry: false })?.size ?? 0;
  while (size() < bytes) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Sends half of what was asked and breaks off; `times` times. */
function dropping(times: number) {
  let left = times;
  return (request: IncomingMessage, response: ServerResponse, bytes: Buffer) => {
    if (left-- <= 0) return sendRange(request, response, bytes);
    const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
    const headers = { 'content-length': bytes.length - from, 'content-range': rangeOf(bytes, from) };
    response.writeHead(from > 0 ? 206 : 200, headers);
    const part = bytes.subarray(from, from + (bytes.length - from) / 2);
    response.write(part, () => setTimeout(() => response.destroy(), 20));
  };
}

const rangeOf = (bytes: Buffer, from: number) => `bytes ${from}-${bytes.length - 1}/${bytes.length}`;

test.serial('a pulled model lies in the Hugging Face layout and is found by name', async (t) => {
  const fake = await start();
  t.throws(() => findModel(NAME), { code: 'ERR_MODEL', message: /not on this machine/ });
  const told: Progress[] = [];
  const pulled = await pullModel(NAME, { onProgress: (progress) => told.push(progress) });
  const path = join(cache, 'models--someone--clip', 'snapshots', commitOf('main'));
  const commit = commitOf('main');
  const downloadedBytes = weights.length + config.length;
  t.deepEqual(pulled, { name: NAME, kind: 'clip', path, revision: 'main', commit, downloadedBytes, warnings: [] });
  t.is(readFileSync(join(cache, 'models--someone--clip', 'refs', 'main'), 'utf8'), commit);
  t.deepEqual(listing(path), ['config.json', 'model.safetensors']);
  t.true(lstatSync(join(path, 'model.safetensors')).isSymbolicLink());
  t.is(realpathSync(join(path, 'model.safetensors')), realpathSync(blob()));
  t.true(readFileSync(join(path, 'model.safetensors')).equals(weights));
  t.true(readFileSync(join(path, 'config.json')).equals(config));
  t.deepEqual([...new Set(told.map(({ stage }) => stage))], ['download', 'verify']);
  t.deepEqual(told.at(-1), { stage: 'verify', done: downloadedBytes, total: downloadedBytes });
  t.is(findModel(NAME), path);
  await t.throwsAsync(Segmenter.load({ model: NAME }), { code: 'ERR_MODEL', message: /is a text model/ });
  t.like(listModels().at(-1), { name: NAME, kind: 'clip', source: 'cache', path });
  const again = await pullModel(NAME);
  t.is(again.downloadedBytes, 0);
  t.is(ranges(fake).length, 1, 'the second pull downloads nothing');
});

test.serial('where no link can be made, a snapshot holds copies', async (t) => {
  await start();
  const { symlink, link } = fs.promises;
  const refuse = () => Promise.reject(Object.assign(new Error('EPERM'), { code: 'EPERM' }));
  Object.assign(fs.promises, { symlink: refuse, link: refuse });
  syncBuiltinESMExports();
  try {
    const { path } = await pullModel(NAME);
    t.true(lstatSync(join(path, 'model.safetensors')).isFile());
    t.true(readFileSync(join(path, 'model.safetensors')).equals(weights));
    t.like(await verifyModel(NAME), { kind: 'clip', files: [{ hash: gitSha1(config) }, { hash: sha256(weights) }] });
    writeFileSync(join(path, 'model.safetensors'), safetensors(10));
    await t.throwsAsync(verifyModel(NAME), { code: 'ERR_MODEL', message: /damaged/ });
  } finally {
    Object.assign(fs.promises, { symlink, link });
    syncBuiltinESMExports();
  }
});

test.serial('a model without weights on main comes from its side revision, and that is said', async (t) => {
  const name = 'openai/clip-vit-base-patch32';
  await start({ main: { 'config.json': config }, 'refs/pr/15': clip.main ?? {} });
  const pulled = await pullModel(name);
  t.like(pulled, { revision: 'refs/pr/15', commit: commitOf('refs/pr/15') });
  t.deepEqual(
    pulled.warnings.map(({ code }) => code),
    ['SIDE_REVISION'],
  );
  t.is(readFileSync(join(cache, 'models--openai--clip-vit-base-patch32/refs/refs/pr/15'), 'utf8'), pulled.commit);
  t.is(findModel(name), pulled.path);
  t.like(await pullModel(name, { offline: true }), { path: pulled.path, revision: 'refs/pr/15', downloadedBytes: 0 });
  await start({ main: { 'config.json': config } });
  await t.throwsAsync(pullModel(NAME), { code: 'ERR_MODEL', message: /no model\.safetensors at revision main/ });
  await t.throwsAsync(pullModel(NAME, { revision: 'none' }), { code: 'ERR_MODEL', message: /no such revision/ });
});

test.serial('a revision and a model of our own kind can be pulled', async (t) => {
  const ours = { 'model.safetensors': weights, 'plan.json': Buffer.from('{}'), 'card.md': Buffer.from('# card') };
  await start({ v2: ours, main: {} });
  const { path, commit, kind } = await pullModel(NAME, { revision: 'v2' });
  t.is(kind, 'pulmoav');
  t.deepEqual(listing(path), ['card.md', 'model.safetensors', 'plan.json']);
  t.is((await pullModel(NAME, { revision: commit })).path, path);
  t.is(findModel(NAME), path, 'the newest snapshot, where main has none');
});

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

const metadata = (headers: Record<string, string>) => (request: IncomingMessage, response: ServerResponse) => {
  if (!request.url?.endsWith('.safetensors')) return false;
  const size = { 'x-linked-size': String(weights.length), 'x-linked-etag': sha256(weights) };
  response.writeHead(200, { 'x-repo-commit': commitOf('main'), ...size, ...headers }).end();
  return true;
};

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

test.serial('the token goes to the hub and never to another host', async (t) => {
  const fake = await start();
  process.env.HF_TOKEN = 'hf_secret';
  await pullModel(NAME);
  t.true(
    fake.hub.seen.length > 0 && fake.hub.seen.every(({ headers }) => headers.authorization === 'Bearer hf_secret'),
  );
  t.true(fake.store.seen.length > 0 && fake.store.seen.every(({ headers }) => headers.authorization === undefined));
  fake.answers.hub = (_, response) => !!response.writeHead(403).end();
  const error = await t.throwsAsync(pullModel(NAME), { code: 'ERR_MODEL' });
  t.notRegex(`${error?.message} ${error?.stack}`, /hf_secret/);
});

test.serial('what is no CLIP model is refused before its weights come', async (t) => {
  const bert = Buffer.from('{"model_type":"bert"}');
  const fake = await start({ main: { 'config.json': bert, 'model.safetensors': weights } });
  await t.throwsAsync(pullModel(NAME), { code: 'ERR_FORMAT', message: /no CLIP text model.*"bert"/ });
  t.is(fake.store.seen.length, 0);
  t.deepEqual(
    listModels().map(({ name }) => name),
    ['tiny'],
  );
});

test.serial('offline, the cache is all there is', async (t) => {
  const fake = await start();
  const missing = { code: 'ERR_MODEL', message: /not in the cache, and the network is off/ };
  await t.throwsAsync(pullModel(NAME, { offline: true }), missing);
  process.env.HF_HUB_OFFLINE = '1';
  await t.throwsAsync(pullModel(NAME), missing);
  t.is(fake.hub.seen.length, 0);
  const { path } = await pullModel(NAME, { offline: false });
  fake.hub.seen.length = 0;
  t.like(await pullModel(NAME), { path, downloadedBytes: 0 } satisfies Partial<PulledModel>);
  t.is(fake.hub.seen.length, 0);
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

test.serial('proxies of the environment are used, but for what NO_PROXY names', async (t) => {
  const fake = await start();
  const asked: string[] = [];
  const proxy = await new Host((request, response) => {
    const to = new URL(request.url ?? '');
    asked.push(to.host);
    const ours = [fake.hub, fake.store].find(({ address }) => address === to.origin);
    request.url = to.pathname;
    ours?.server.emit('request', request, response);
  }).listen();
  proxy.server.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    const [host = '', port] = (request.url ?? '').split(':');
    if (host !== '127.0.0.1') return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    const to = connect(Number(port), host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    socket.pipe(to).pipe(socket);
  });
  hosts.push(proxy);
  process.env.HTTP_PROXY = proxy.address;
  await pullModel(NAME);
  t.true(asked.length >= 6, `${asked}`);
  await removeModel(NAME);
  asked.length = 0;
  process.env.NO_PROXY = '127.0.0.1';
  await pullModel(NAME);
  t.deepEqual(asked, []);
  process.env.HTTPS_PROXY = proxy.address;
  process.env.HF_ENDPOINT = 'https://mirror.invalid';
  const refused = { code: 'ERR_IO', message: /proxy does not connect to mirror\.invalid/ };
  await t.throwsAsync(pullModel(NAME, { retries: 0 }), refused);
  t.deepEqual(asked, ['CONNECT mirror.invalid:443']);
  process.env.HTTPS_PROXY = 'no address';
  await t.throwsAsync(pullModel(NAME), { code: 'ERR_CONFIG' });
});

test.serial('names and revisions that could lead elsewhere are refused', async (t) => {
  const fake = await start();
  for (const name of ['clip', '../clip', 'a/..', 'a--b/c', '/etc/passwd', 'a/b/c', 'a/b?c', '']) {
    await t.throwsAsync(pullModel(name), { code: 'ERR_USAGE' }, name);
  }
  for (const revision of ['../../x', '/main', 'a//b', 'refs/../..', '.', '', 'a b']) {
    await t.throwsAsync(pullModel(NAME, { revision }), { code: 'ERR_USAGE' }, revision);
  }
  t.is(fake.hub.seen.length, 0);
});

test.serial('rm removes what was pulled, whole or not, and nothing else', async (t) => {
  await start();
  await pullModel(NAME);
  const { bytes } = await removeModel(NAME);
  t.true(bytes >= weights.length);
  t.deepEqual(listing(cache), []);
  await t.throwsAsync(removeModel(NAME), { code: 'ERR_MODEL' });
  await t.throwsAsync(removeModel('tiny'), { code: 'ERR_USAGE', message: /comes with the package/ });
  await t.throwsAsync(removeModel(folder()), { code: 'ERR_USAGE' });
  t.true(existsSync(findModel('tiny')));
});

test.serial('the command line pulls, lists, locates, verifies and removes, one JSON object each', async (t) => {
  await start();
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'models', ...args, '--json'], {
      env: process.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let out = '';
    child.stdout.on('data', (text) => {
      out += text;
    });
    const [status] = await once(child, 'close');
    if (!/^\{"schemaVersion":1,.*\}\n$/.test(out)) throw new Error(`not one object: ${out}`);
    return { status, ...JSON.parse(out) };
  };
  const hint = `Run "pulmoav models pull ${NAME}".`;
  t.like(await run('path', NAME), { status: 3, error: { code: 'ERR_MODEL', hint } });
  t.like(await run('pull', NAME), { status: 0, name: NAME, revision: 'main', warnings: [] });
  t.like(await run('list'), { status: 0, models: [{ name: 'tiny' }, { name: NAME, kind: 'clip' }] });
  t.like(await run('path', NAME), { status: 0, path: findModel(NAME) });
  t.like(await run('verify', NAME), {
    status: 0,
    kind: 'clip',
    files: [{ name: 'config.json' }, { name: 'model.safetensors' }],
  });
  t.like(await run('rm', NAME), { status: 0, name: NAME });
  t.like(await run('rm', 'tiny'), { status: 2, error: { code: 'ERR_USAGE' } });
  t.like(await run('list', '--offline'), { status: 2, error: { code: 'ERR_USAGE' } });
});
