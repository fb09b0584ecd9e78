// Pages of the repository's own Markdown, as it lies there, and of what is made from code. Built by scripts/docs-site.mjs.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { address, INPUT, pathOf, sections } from './contents.js';
import { layout } from './layout.js';
import { anchorNames, anchors, linksOf } from './markdown.js';
import { apiPages } from './reference/api.js';
import { commandsPage } from './reference/commands.js';
import { reportsPage } from './reference/reports.js';

const site = dirname(fileURLToPath(import.meta.url));
const root = join(site, '../..');

export default async function (eleventy) {
  const pages = await allPages();
  const titles = new Map([...pages].map(([path, text]) => [path, titleOf(text, path)]));
  eleventy.setUseGitIgnore(false);
  eleventy.setQuietMode(true);
  eleventy.amendLibrary('md', (markdown) => markdown.use(anchors).use(linksOf(root, titles)));
  for (const [path, text] of pages) {
    // Templates within Markdown are off: braces of code are code.
    const data = { permalink: address(path), templateEngineOverride: 'md', eleventyExcludeFromCollections: true };
    eleventy.addTemplate(path, text, data);
  }
  eleventy.addTransform('layout', function (content) {
    const path = pathOf(this.page.inputPath);
    return titles.has(path) ? layout({ path, title: titles.get(path), content, titles }) : content;
  });
  const copies = { 'docs/pictures': 'pictures', 'docs/schema': 'schema' };
  for (const name of ['style.css', 'search.js']) copies[`${INPUT}/${name}`] = name;
  eleventy.addPassthroughCopy(copies);
  eleventy.addTemplate('search-index.11ty.js', () => searchIndex(pages, titles), { permalink: 'search-index.js' });
  return { dir: { input: INPUT, output: 'docs/site/out' }, templateFormats: ['md', '11ty.js'] };
}

/** Paths of all pages with their text. */
async function allPages() {
  const made = new Map([
    ['docs/reference/commands.md', await commandsPage(root)],
    ['docs/reference/reports.md', reportsPage(root)],
    ...(await apiPages(root)),
  ]);
  const listed = sections.flatMap(({ pages }) => pages);
  const written = listed
    .filter((path) => !made.has(path))
    .map((path) => [path, readFileSync(join(root, path), 'utf8')]);
  return new Map([...written, ...made]);
}

function titleOf(text, path) {
  const heading = /^# (.+)$/m.exec(text)?.[1];
  if (!heading) throw new Error(`${path} has no heading`);
  return plain(heading).replace(/^(Class|Interface|Function|Type Alias|Variable): /, '');
}

/** A heading without its marks. */
function plain(heading) {
  return heading.replace(/`|\\|\(\)|<[^>]*>/g, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}

/** Every page and heading of what is written by hand, and every page of what is made. */
function searchIndex(pages, titles) {
  const headings = [];
  for (const [path, text] of pages) {
    const page = titles.get(path);
    headings.push({ text: page, page, link: address(path) });
    if (path.startsWith('docs/reference/api/')) continue;
    const anchor = anchorNames();
    for (const [, level, heading] of text.replace(/```[\s\S]*?```/g, '').matchAll(/^(#+) (.+)$/gm)) {
      const link = `${address(path)}#${anchor(plain(heading))}`;
      if (level.length > 1) headings.push({ text: plain(heading), page, link });
    }
  }
  return `const headings = ${JSON.stringify(headings)};\n`;
}
