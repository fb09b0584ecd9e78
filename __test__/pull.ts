import { existsSync, lstatSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { findModel } from 'pulmoav';
import { folder, listing } from './fixture.js';
import { type Contents, commitOf, type FakeHub, fakeHub, gitSha1, type Host, sendRange, sha256 } from './hub.js';

export const NAME = 'someone/clip';
/** Tries that end soon. */
export const quick = { timeoutMs: 5000, retries: 1 };

export const weights = safetensors(300_000);
export const config = Buffer.from(JSON.stringify({ model_type: 'clip', text_config: {} }));
export const clip: Contents = { main: { 'config.json': config, 'model.safetensors': weights } };
export const half = weights.length / 2;

/** Servers that are closed after the test. */
export const hosts: Host[] = [];
let cache: string;

/** The cache of the test that runs. */
export const cacheFolder = (): string => cache;

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
export function safetensors(bytes: number, extra: object = {}): Buffer {
  const tensor = { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] };
  const header = JSON.stringify({ 'text_model.embeddings.token_embedding.weight': tensor, ...extra });
  const text = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([prefix, text, Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => (at * 31) >> 3))]);
}

/** Starts a hub and makes it the one that is asked. */
export async function start(contents = clip, answers: FakeHub['answers'] = {}): Promise<FakeHub> {
  const fake = await fakeHub(contents, answers);
  hosts.push(fake.hub, fake.store);
  process.env.HF_ENDPOINT = fake.hub.address;
  return fake;
}

/** The Range of every download so far. */
export const ranges = ({ store }: FakeHub) =>
  store.seen.filter(({ method }) => method === 'GET').map((one) => one.headers.range);
/** Where the weights lie in the cache. */
export const blob = (name = NAME) => join(cache, `models--${name.replace('/', '--')}`, 'blobs', sha256(weights));
/** Every file in the cache. */
export const files = () =>
  existsSync(cache) ? listing(cache).filter((file) => !lstatSync(join(cache, file)).isDirectory()) : [];

/** That nothing stands under a final name but what was right: the weights were not. */
export function nothingHalf(t: ExecutionContext, partial: boolean): void {
  const kept = files().filter((file) => !file.endsWith(gitSha1(config)) && !file.endsWith('config.json'));
  t.deepEqual(
    kept.filter((file) => !file.endsWith('.incomplete')),
    [],
  );
  t.is(existsSync(`${blob()}.incomplete`), partial);
  t.throws(() => findModel(NAME), { code: 'ERR_MODEL' });
}

/** Waits until so many bytes of the weights are here. */
export async function arrived(bytes: number): Promise<void> {
  const size = () => lstatSync(`${blob()}.incomplete`, { throwIfNoEntry: false })?.size ?? 0;
  while (size() < bytes) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Sends half of what was asked and breaks off; `times` times. */
export function dropping(times: number) {
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

export const rangeOf = (bytes: Buffer, from: number) => `bytes ${from}-${bytes.length - 1}/${bytes.length}`;

/** A hub that describes the weights rightly, but for these headers. */
export const metadata = (headers: Record<string, string>) => (request: IncomingMessage, response: ServerResponse) => {
  if (!request.url?.endsWith('.safetensors')) return false;
  const size = { 'x-linked-size': String(weights.length), 'x-linked-etag': sha256(weights) };
  response.writeHead(200, { 'x-repo-commit': commitOf('main'), ...size, ...headers }).end();
  return true;
};
