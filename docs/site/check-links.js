import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/**
 * Links of built pages that lead nowhere: to files that are not there, and to anchors that no page has. What lies on
 * other hosts is not asked for.
 *
 * @param {string} out the folder of the pages
 * @returns {string[]} a sentence a dead link
 */
export function deadLinks(out) {
  const pages = readdirSync(out, { recursive: true }).filter((name) => name.endsWith('.html'));
  const texts = new Map(pages.map((name) => [join(out, name), readFileSync(join(out, name), 'utf8')]));
  const anchors = new Map([...texts].map(([file, text]) => [file, anchorsOf(text)]));
  return pages.flatMap((name) => {
    const file = join(out, name);
    const dead = [...new Set(linksOf(texts.get(file)))].filter((link) => !leads(link, file, anchors));
    return dead.map((link) => `${name} links to ${link}, which is not there`);
  });
}

function leads(link, file, anchors) {
  const [path, anchor] = link.split('#').map(decodeURIComponent);
  const target = path === '' ? file : resolve(dirname(file), path);
  if (!existsSync(target)) return false;
  if (statSync(target).isDirectory()) return existsSync(join(target, 'index.html'));
  return !anchor || !target.endsWith('.html') || (anchors.get(target)?.has(anchor) ?? false);
}

function linksOf(text) {
  const links = [...text.matchAll(/<[a-z]+ [^>]*?(?:href|src)="([^"]*)"/g)].map(([, link]) => link);
  return links.map((link) => link.replaceAll('&amp;', '&')).filter((link) => !/^(https?:|mailto:|data:)/.test(link));
}

function anchorsOf(text) {
  return new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
}
