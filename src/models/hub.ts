import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { hub } from '../config/hub.js';
import { ConfigError, FormatError, IoError } from '../errors.js';
import { type Answer, redirection, refuse } from './answer.js';
import { hubEndpoint, hubToken } from './environment.js';
import { isHash } from './hash.js';
import { isCommit } from './names.js';
import { BrokenTransfer, type Patience, persist, Watchdog } from './transfer.js';

/** A file on the hub, and what it has to be when it is here. */
export interface HubFile {
  name: string;
  /** Commit of the repository. */
  commit: string;
  /** SHA-256 or git's SHA-1, hex. */
  hash: string;
  bytes: number;
  url: URL;
}

/** A Hugging Face hub or a mirror of it, through the proxies that the environment names. */
export class Hub {
  readonly #endpoint = hubEndpoint();
  readonly #token = hubToken();
  readonly #dispatcher: Dispatcher;
  /** How long this hub is waited for. */
  readonly patience: Patience;

  constructor(patience: Patience) {
    this.patience = patience;
    try {
      // Silence is watched here, over everything from the connection to the last byte.
      const connect = { timeout: patience.timeoutMs };
      this.#dispatcher = new EnvHttpProxyAgent({ headersTimeout: 0, bodyTimeout: 0, connect, proxyTunnel: false });
    } catch (error) {
      const hint = 'They are addresses such as http://proxy:3128.';
      throw new ConfigError('HTTP_PROXY or HTTPS_PROXY is no address of a proxy.', { cause: error, hint });
    }
  }

  /** Breaks off what is under way and lets go of all connections. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  /**
   * What the hub has under a name, or `undefined` where the revision has no such file.
   *
   * @throws ModelError where there is no such repository or revision; IoError, FormatError
   */
  async look(repository: string, revision: string, name: string): Promise<HubFile | undefined> {
    const url = new URL(this.#endpoint);
    const prefix = url.pathname.replace(/\/$/, '');
    url.pathname = `${prefix}/${repository}/resolve/${encodeURIComponent(revision)}/${name}`;
    return persist(this.patience, async () => {
      const said = await this.#metadata(url);
      if (said.status === 404) return undefined;
      return hubFile(url, name, said);
    });
  }

  /**
   * A file's bytes from `offset` on; what else may come back is for the caller to see.
   *
   * @throws BrokenTransfer, IoError
   */
  async fetch(file: HubFile, offset: number): Promise<Answer> {
    const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    for await (const answer of this.#answers('GET', file.url, range)) {
      if (redirection(answer) === undefined) return answer;
    }
    throw new IoError('ERR_IO', `${file.url.host} redirects to nowhere.`);
  }

  /** What the answers to HEAD say on the way to the file: the hub's own words come first. */
  async #metadata(url: URL): Promise<Metadata> {
    const said: Metadata = { status: 0 };
    for await (const answer of this.#answers('HEAD', url, {})) {
      await answer.close();
      if (answer.status >= 400) refuse(answer);
      said.status = answer.status;
      said.commit ??= answer.header('x-repo-commit');
      said.hash ??= answer.header('x-linked-etag');
      said.bytes ??= answer.header('x-linked-size');
      if (redirection(answer) === undefined) {
        said.hash ??= answer.header('etag');
        said.bytes ??= answer.header('content-length');
        said.type = answer.header('content-type');
      } else if (said.commit && said.hash && said.bytes) break;
    }
    return said;
  }

  /** One answer after another, along the redirects. */
  async *#answers(
    method: 'GET' | 'HEAD',
    start: URL,
    headers: Record<string, string>,
  ): AsyncGenerator<Answer, void, undefined> {
    let url = start;
    for (let hop = 0; hop <= hub.redirects; hop++) {
      const answer = await this.#ask(method, url, headers);
      const location = redirection(answer);
      if (location !== undefined) await answer.close();
      yield answer;
      if (location === undefined) return;
      url = next(url, location);
    }
    throw new IoError('ERR_IO', `${start.host} redirects in a circle: more than ${hub.redirects} times.`);
  }

  async #ask(method: 'GET' | 'HEAD', url: URL, extra: Record<string, string>): Promise<Answer> {
    const watchdog = new Watchdog(this.patience);
    const headers: Record<string, string> = { ...extra, 'user-agent': 'pulmoav', 'accept-encoding': 'identity' };
    if (this.#token && url.origin === this.#endpoint.origin) headers.authorization = `Bearer ${this.#token}`;
    try {
      const options = { method, headers, signal: watchdog.signal, dispatcher: this.#dispatcher };
      const response = await request(url, options);
      response.body.on('error', () => {});
      return this.#answer(response, url, watchdog, method === 'HEAD');
    } catch (error) {
      watchdog.stop();
      throw this.#failure(error, url, watchdog);
    }
  }

  #answer(
    { statusCode: status, headers, body }: Dispatcher.ResponseData,
    url: URL,
    watchdog: Watchdog,
    isHead: boolean,
  ): Answer {
    const chunks = async function* (this: Hub) {
      try {
        for await (const chunk of body) {
          watchdog.stop();
          yield chunk as Uint8Array;
          watchdog.start();
        }
      } catch (error) {
        throw this.#failure(error, url, watchdog);
      }
    };
    const close = async () => {
      if (isHead || (status !== 200 && status !== 206))
        await body.dump({ limit: SHORT, signal: watchdog.signal }).catch(() => {});
      watchdog.stop();
      body.destroy();
    };
    const header = (name: string) => [headers[name] ?? []].flat()[0];
    return { url, status, header, chunks: chunks.bind(this), close };
  }

  /** What an error of the network is to the caller. */
  #failure(error: unknown, url: URL, watchdog: Watchdog): unknown {
    const { signal, timeoutMs } = this.patience;
    if (signal?.aborted) return signal.reason;
    const cause = { cause: error };
    if (watchdog.barked) return new BrokenTransfer(`${url.host} was silent for ${timeoutMs / 1000} s`, cause);
    const { code = '', message, hostname } = error as NodeJS.ErrnoException & { hostname?: string };
    if (code === 'ENOTFOUND') {
      const hint = 'Is there a network? A mirror is named by HF_ENDPOINT, a proxy by HTTPS_PROXY.';
      return new IoError('ERR_IO', `There is no host ${hostname ?? url.hostname}.`, { ...cause, hint });
    }
    if (/CERT|SSL|TLS|SIGNATURE/.test(code)) {
      const hint = 'Where a proxy signs with a certificate of its own, NODE_EXTRA_CA_CERTS names it.';
      return new IoError('ERR_IO', `${url.host} cannot be trusted: ${message}.`, { ...cause, hint });
    }
    if (/Proxy|Tunnel/i.test(message)) {
      return new IoError('ERR_IO', `The proxy does not connect to ${url.host}: ${message}.`, cause);
    }
    return new BrokenTransfer(`The connection to ${url.host} broke: ${message || code}`, cause);
  }
}

/** Bodies of redirects and refusals are read this far, to keep their connection. */
const SHORT = 1 << 14;

interface Metadata {
  status: number;
  commit?: string | undefined;
  hash?: string | undefined;
  bytes?: string | undefined;
  type?: string | undefined;
}

function hubFile(url: URL, name: string, said: Metadata): HubFile {
  const hash = said.hash?.replace(/^W\//, '').replaceAll('"', '') ?? '';
  const bytes = Number(said.bytes ?? Number.NaN);
  const lacking = [
    !isCommit(said.commit ?? '') && 'commit',
    !isHash(hash) && 'hash',
    !Number.isSafeInteger(bytes) && 'size',
  ].filter(Boolean);
  if (lacking.length === 0) return { name, commit: said.commit as string, hash, bytes, url };
  const page = said.type?.startsWith('text/html') ? ' It sends a web page instead.' : '';
  throw new FormatError(
    'ERR_FORMAT',
    `${url.host} does not speak as a Hugging Face hub: it names no ${lacking.join(', no ')} of ${name}.${page}`,
    { hint: 'Is HF_ENDPOINT right, or does a login page stand in between?' },
  );
}

function next(url: URL, location: string): URL {
  const to = location && URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  if (to?.protocol === 'https:' || (to?.protocol === 'http:' && url.protocol === 'http:')) return to;
  throw new IoError('ERR_IO', `${url.host} redirects to an address that is not safe to follow.`);
}
