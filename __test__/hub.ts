import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What a hub of the tests has: revision → file name → content. */
export type Contents = Record<string, Record<string, Buffer>>;

/** One request as a server saw it. */
export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A server of this machine that remembers what it was asked. */
export class Host {
  readonly seen: Seen[] = [];
  readonly server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(handler: Handler) {
    this.server = createServer((request, response) => {
      this.seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
      handler(request, response);
    });
    this.server.on('connection', (socket) => {
      this.#sockets.add(socket.on('error', () => {}));
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** The commit that a revision of the tests' hub is. */
export const commitOf = (revision: string): string =>
  /^[0-9a-f]{40}$/.test(revision) ? revision : createHash('sha1').update(revision).digest('hex');

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

/** Answers the tests replace to make a hub drop, lie or stall. */
export interface Answers {
  /** Sends a large file's bytes, on another host than the hub. */
  store: (request: IncomingMessage, response: ServerResponse, bytes: Buffer) => void;
  /** Sees every answer of the hub before it goes out, and may send another: then it returns true. */
  hub: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** A Hugging Face hub on this machine, with a store of large files on another port. */
export async function fakeHub(contents: Contents, answers: Partial<Answers> = {}): Promise<FakeHub> {
  const store = await new Host((request, response) => {
    const bytes = byHash(contents, request.url?.slice(1) ?? '');
    if (bytes) return (answers.store ?? sendRange)(request, response, bytes);
    response.writeHead(404).end();
  }).listen();
  const hub = await new Host((request, response) => {
    if (answers.hub?.(request, response)) return;
    resolve(contents, store.address, request, response);
  }).listen();
  return { hub, store, answers };
}

export interface FakeHub {
  hub: Host;
  store: Host;
  answers: Partial<Answers>;
}

/** Bytes from where the request asks them. */
export function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const headers: Record<string, string | number> = { 'content-length': bytes.length - start };
  if (start > 0) headers['content-range'] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
  response.writeHead(start > 0 ? 206 : 200, headers).end(bytes.subarray(start));
}

function resolve(contents: Contents, store: string, request: IncomingMessage, response: ServerResponse): void {
  const [, , , , revision = '', name = ''] = (request.url ?? '').split('/').map(decodeURIComponent);
  const known = Object.keys(contents).find((one) => one === revision || commitOf(one) === revision);
  if (known === undefined) return void response.writeHead(404, { 'x-error-code': 'RevisionNotFound' }).end();
  const bytes = contents[known]?.[name];
  const commit = { 'x-repo-commit': commitOf(known) };
  if (!bytes) return void response.writeHead(404, { ...commit, 'x-error-code': 'EntryNotFound' }).end();
  if (name.endsWith('.safetensors')) {
    const linked = { 'x-linked-etag': `"${sha256(bytes)}"`, 'x-linked-size': bytes.length };
    return void response.writeHead(302, { ...commit, ...linked, location: `${store}/${sha256(bytes)}` }).end();
  }
  response.writeHead(200, { ...commit, etag: `W/"${gitSha1(bytes)}"`, 'content-length': bytes.length });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

function byHash(contents: Contents, hash: string): Buffer | undefined {
  return Object.values(contents)
    .flatMap((files) => Object.values(files))
    .find((bytes) => sha256(bytes) === hash);
}
