import { existsSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { address, pathOf } from './contents.js';

/** Where files of the repository are shown that are no pages. */
const REPOSITORY = 'https://github.com/pulmoav/pulmoav/blob/main/';

/**
 * Turns links of the repository's Markdown into those of pages: to pages by their address, to pictures and schemas by
 * their copy, and to other files of the repository where it is hosted. Where a link's words are a page's path, its title
 * stands there.
 *
 * @param {string} root the repository's folder
 * @param {Map<string, string>} titles of all pages, by their paths
 */
export function linksOf(root, titles) {
  return (markdown) => {
    markdown.core.ruler.push('links', ({ env, tokens }) => {
      const from = pathOf(env.page.inputPath);
      const all = tokens.flatMap((token) => token.children ?? []);
      all.forEach((token, index) => {
        for (const name of ['href', 'src']) {
          const target = token.attrGet(name);
          if (!target || /^([a-z]+:|#)/.test(target)) continue;
          const { link, title } = linkTo(target, from, { root, titles });
          token.attrSet(name, link);
          const words = all[index + 1];
          if (title && words?.type === 'text' && words.content.endsWith('.md')) words.content = title;
        }
      });
    });
  };
}

function linkTo(target, from, { root, titles }) {
  const [path, anchor] = target.split('#');
  const file = posix.join(posix.dirname(from), path);
  const found = [file, posix.join(file, 'README.md')].find((one) => titles.has(one));
  const hash = anchor ? `#${anchor}` : '';
  const to = (place) => relative(dirname(address(from)), place);
  if (found) return { link: `${to(address(found))}${hash}`, title: titles.get(found) };
  if (!existsSync(join(root, file))) throw new Error(`${from} links to ${target}, which is not there`);
  if (/^docs\/(pictures|schema)\//.test(file)) return { link: to(file.replace(/^docs\//, '')) };
  return { link: `${REPOSITORY}${file}${hash}` };
}

/** Gives every heading an anchor. */
export function anchors(markdown) {
  markdown.core.ruler.push('anchors', ({ tokens }) => {
    const name = anchorNames();
    tokens.forEach((token, index) => {
      if (token.type !== 'heading_open') return;
      const words = (tokens[index + 1].children ?? []).filter(({ type }) => /^(text|code_inline)$/.test(type));
      token.attrSet('id', name(words.map(({ content }) => content).join('')));
    });
  });
}

/** Names anchors of one page as code hosts do: of headings alike, the later ones get a number. */
export function anchorNames() {
  const known = new Map();
  return (heading) => {
    const kept = heading
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '');
    const anchor = kept.replace(/\s/g, '-');
    const count = known.get(anchor) ?? 0;
    known.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  };
}
