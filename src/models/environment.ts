import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { hub } from '../config/hub.js';
import { ConfigError } from '../errors.js';

/** The cache that Hugging Face's own tools use: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `~/.cache/huggingface`. */
export function hubCache(): string {
  const { HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  if (HF_HUB_CACHE) return atHome(HF_HUB_CACHE);
  if (HF_HOME) return join(atHome(HF_HOME), 'hub');
  return join(XDG_CACHE_HOME ? atHome(XDG_CACHE_HOME) : join(homedir(), '.cache'), 'huggingface', 'hub');
}

/** Whether `HF_HUB_OFFLINE` forbids the network. */
export function isOffline(): boolean {
  return ['1', 'on', 'yes', 'true'].includes((process.env.HF_HUB_OFFLINE ?? '').toLowerCase());
}

/** `HF_ENDPOINT`, or the hub itself; no slash at its end. */
export function hubEndpoint(): URL {
  const text = process.env.HF_ENDPOINT || hub.endpoint;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search) {
    url.pathname = url.pathname.replace(/\/+$/, '');
    return url;
  }
  throw new ConfigError('HF_ENDPOINT must be an address such as https://huggingface.co, without a user or a query.');
}

/** `HF_TOKEN`, or nothing. */
export function hubToken(): string | undefined {
  const token = process.env.HF_TOKEN?.trim();
  if (token && !/^[\x21-\x7e]+$/.test(token)) {
    throw new ConfigError('HF_TOKEN holds characters that no token has.');
  }
  return token || undefined;
}

function atHome(path: string): string {
  return resolve(path.replace(/^~(?=$|[\\/])/, homedir()));
}
