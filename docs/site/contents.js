// Which pages there are, in the order in which they are listed. Paths are those of the repository; what has no file is
// made by `reference/`.

/** Sections of the list beside every page. */
export const sections = [
  {
    title: 'Start',
    pages: ['README.md', 'docs/guides/tutorial.md', 'docs/limits.md', 'models/tiny/card.md'],
  },
  {
    title: 'How to',
    pages: [
      'docs/guides/outputs.md',
      'docs/dicom.md',
      'docs/guides/batch.md',
      'docs/guides/clip-weights.md',
      'docs/guides/nnunet.md',
      'docs/guides/import.md',
      'docs/guides/embedding.md',
      'docs/guides/sanity.md',
      'docs/guides/anatomy.md',
      'docs/trees.md',
      'docs/checking.md',
      'docs/evaluating.md',
      'docs/cuda.md',
    ],
  },
  {
    title: 'Train',
    pages: [
      'docs/guides/own-data.md',
      'docs/guides/data-sets.md',
      'docs/guides/runs.md',
      'docs/learning-from-few-labels.md',
      'docs/phantoms.md',
    ],
  },
  {
    title: 'Reference',
    pages: [
      'docs/reference/commands.md',
      'docs/reference/api/index.md',
      'docs/config.md',
      'docs/reference/reports.md',
      'docs/plan-format.md',
      'docs/scores.md',
      'examples/README.md',
    ],
  },
  {
    title: 'Behind it',
    pages: [
      'docs/method.md',
      'docs/performance.md',
      'docs/anatomy.md',
      'docs/cuda-kernels.md',
      'ARCHITECTURE.md',
      'docs/guides/adding.md',
      'CONTRIBUTING.md',
      'CHANGELOG.md',
      'SECURITY.md',
    ],
  },
];

/** Eleventy's own folder, in which pages lie that are given to it by their text. */
export const INPUT = 'docs/site/static';

/** The path of a page in the repository, by that of Eleventy. */
export function pathOf(inputPath) {
  return inputPath.slice(`./${INPUT}/`.length);
}

/** The page of a file: `docs/guides/batch.md` → `guides/batch.html`. */
export function address(path) {
  if (path === 'README.md') return 'index.html';
  return path
    .replace(/^docs\//, '')
    .replace(/README\.md$/, 'index.md')
    .replace(/\.md$/, '.html');
}
