import type { MeasuredTree } from '../../tree.js';
import { html, type Markup, NOTHING } from '../html.js';

/** Upper ends of the bins of a histogram, mm of diameter; the last one takes the rest. */
const BINS_MM = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, Number.POSITIVE_INFINITY] as const;

/** Length of centrelines by diameter, mm, one number a bin. */
export function lengthsByDiameter({ branches }: Pick<MeasuredTree, 'branches'>): number[] {
  const lengths = BINS_MM.map(() => 0);
  for (const { points } of branches) {
    for (let index = 1; index < points.length; index++) {
      const [a, b] = [points[index - 1], points[index]];
      if (!a || !b) continue;
      const diameter = a[3] + b[3];
      const bin = BINS_MM.findIndex((end) => diameter < end);
      lengths[bin] = (lengths[bin] ?? 0) + Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
    }
  }
  return lengths;
}

/** A bar chart of {@link lengthsByDiameter}, a colour a tree. */
export function calibreChart(trees: { tree: MeasuredTree; colour: string }[]): Markup {
  const rows = trees.map(({ tree, colour }) => ({ name: tree.name, colour, lengths: lengthsByDiameter(tree) }));
  const most = Math.max(0, ...rows.flatMap(({ lengths }) => lengths));
  if (most === 0) return NOTHING;
  const [left, top, height, group] = [52, 12, 180, 66];
  const width = left + group * BINS_MM.length + 8;
  const bar = (group - 14) / rows.length;
  const bars = BINS_MM.flatMap((_, bin) =>
    rows.map(({ name, colour, lengths }, row) => {
      const length = lengths[bin] ?? 0;
      const high = (height * length) / most;
      return html`<rect x="${left + bin * group + 7 + row * bar}" y="${(top + height - high).toFixed(1)}"
width="${(bar - 2).toFixed(1)}" height="${high.toFixed(1)}" fill="${colour}"><title>${name}, ${binName(bin)} mm: ${(
        length / 10
      ).toFixed(0)} cm</title></rect>`;
    }),
  );
  const names = BINS_MM.map(
    (_, bin) => html`<text class="tick" text-anchor="middle" x="${left + (bin + 0.5) * group}"
y="${top + height + 16}">${binName(bin)}</text>`,
  );
  const lines = [0, 0.5, 1].map((share) => {
    const y = top + height * (1 - share);
    return html`<line class="grid" x1="${left}" x2="${width - 8}" y1="${y}" y2="${y}"/>
<text class="tick" text-anchor="end" x="${left - 6}" y="${y + 4}">${((most * share) / 10).toFixed(0)} cm</text>`;
  });
  return html`<svg viewBox="0 0 ${width} ${top + height + 40}" role="img" aria-label="Length by diameter">
${lines}${bars}${names}
<text class="tick" text-anchor="middle" x="${(left + width) / 2}" y="${top + height + 34}">diameter, mm</text></svg>`;
}

function binName(bin: number): string {
  const [low, high] = [bin === 0 ? 0 : BINS_MM[bin - 1], BINS_MM[bin]];
  return high === Number.POSITIVE_INFINITY ? `> ${low}` : `${low}–${high}`;
}
