// Finds pages and headings whose words begin with those that are typed. `headings` comes from search-index.js.
const field = document.getElementById('search');
const found = document.getElementById('found');
const pages = document.getElementById('pages');
const { root } = document.currentScript.dataset;
const MOST = 30;

// On a narrow screen the list of pages would hide the text.
if (window.matchMedia('(max-width: 860px)').matches) pages.open = false;

field.addEventListener('input', () => {
  const asked = words(field.value);
  const hits = asked.length === 0 ? [] : headings.filter(({ text }) => holds(words(text), asked)).slice(0, MOST);
  found.replaceChildren(...hits.map(entry));
  found.hidden = asked.length === 0;
  pages.hidden = asked.length > 0;
});

function words(text) {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function holds(text, asked) {
  return asked.every((start) => text.some((word) => word.startsWith(start)));
}

function entry({ text, page, link }) {
  const [item, anchor] = [document.createElement('li'), document.createElement('a')];
  anchor.href = `${root}/${link}`;
  anchor.textContent = text === page ? page : `${text} · ${page}`;
  item.append(anchor);
  return item;
}
