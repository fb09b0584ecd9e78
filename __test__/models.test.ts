import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { existsSync, lstatSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import {
  findModel,
  listModels,
  type Progress,
  type PulledModel,
  pullModel,
  removeModel,
  Segmenter,
  verifyModel,
} from 'pulmoav';
import { folder, listing, root } from './fixture.js';
import { commitOf, gitSha1, Host, sha256 } from './hub.js';
import { blob, cacheFolder, clip, config, hosts, NAME, ranges, safetensors, start, weights } from './pull.js';

test.serial('a pulled model lies in the Hugging Face layout and is found by name', async (t) => {
  const fake = await start();
  t.throws(() => findModel(NAME), { code: 'ERR_MODEL', message: /not on this machine/ });
  const told: Progress[] = [];
  const pulled = await pullModel(NAME, { onProgress: (progress) => told.push(progress) });
  const path = join(cacheFolder(), 'models--someone--clip', 'snapshots', commitOf('main'));
  const commit = commitOf('main');
  const downloadedBytes = weights.length + config.length;
  t.deepEqual(pulled, { name: NAME, kind: 'clip', path, revision: 'main', commit, downloadedBytes, warnings: [] });
  t.is(readFileSync(join(cacheFolder(), 'models--someone--clip', 'refs', 'main'), 'utf8'), commit);
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
  t.is(
    readFileSync(join(cacheFolder(), 'models--openai--clip-vit-base-patch32/refs/refs/pr/15'), 'utf8'),
    pulled.commit,
  );
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
  t.deepEqual(listing(cacheFolder()), []);
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
