import { dirname, relative } from 'node:path';
import { address, sections } from './contents.js';

/**
 * One page around its text.
 *
 * @param {{ path: string, title: string, content: string, titles: Map<string, string> }} page
 */
export function layout({ path, title, content, titles }) {
  const own = address(path);
  const to = (target) => relative(dirname(own), target);
  const listed = ({ title, pages }) => `<h2>${title}</h2>
<ul>${pages.map((page) => item(page)).join('')}</ul>`;
  const item = (page) => {
    const current = page === path || (path.startsWith('docs/reference/api/') && page.endsWith('api/index.md'));
    return `<li><a href="${to(address(page))}"${current ? ' aria-current="page"' : ''}>${titles.get(page)}</a></li>`;
  };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title === 'pulmoav' ? title : `${title} · pulmoav`}</title>
<link rel="stylesheet" href="${to('style.css')}">
<script defer src="${to('search-index.js')}"></script>
<script defer src="${to('search.js')}" data-root="${to('.') || '.'}"></script>
</head>
<body>
<a class="skip" href="#text">to the text</a>
<nav aria-label="Pages">
<a class="name" href="${to('index.html')}">pulmoav</a>
<input type="search" id="search" placeholder="Search" aria-label="Search the pages" autocomplete="off">
<ol id="found" hidden></ol>
<details id="pages" open><summary>All pages</summary>
${sections.map(listed).join('\n')}
</details>
</nav>
<main id="text">
${content}
<footer>Research use only: not a medical device.</footer>
</main>
</body>
</html>
`;
}
