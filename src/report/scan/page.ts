import { basename } from 'node:path';
import { type LabelName, labelNames } from '../../labels.js';
import { version } from '../../native/load.js';
import type { SegmentReport } from '../../segment-file.js';
import type { MeasuredTree } from '../../tree.js';
import { html, Markup, NOTHING } from '../html.js';
import { STYLE } from '../style.js';
import { calibreChart } from './calibre.js';
import { viewerScript } from './viewer.js';

/** What a page of one scan shows. */
export interface ScanPage {
  /** The scan's files. */
  inputs: string[];
  report: SegmentReport;
  /** Scan and labels as packed NIfTI, and mm of a voxel of theirs, `[z, y, x]`. */
  scan: Uint8Array;
  labels: Uint8Array;
  spacingMm: readonly number[];
  /** A picture for who cannot run the viewer, PNG. */
  picture: Uint8Array;
  trees: MeasuredTree[];
  /** NiiVue's text. */
  niivue: string;
}

/** What may be loaded: nothing but what the page itself holds. */
const POLICY = [
  "default-src 'none'",
  'img-src data: blob:',
  "style-src 'unsafe-inline'",
  "script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:",
  'worker-src blob:',
  'connect-src data: blob:',
  'font-src data:',
].join('; ');

const LOOK = `
#viewer { margin: 14px 0; }
#viewer .stage { height: 640px; background: #000; border-radius: 6px; overflow: hidden; }
#viewer .bar { display: flex; flex-wrap: wrap; gap: 6px 22px; margin: 8px 0; color: var(--soft); }
#viewer output { min-height: 1.5em; display: block; color: var(--soft); font-variant-numeric: tabular-nums; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 7px;
  vertical-align: -1px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 8px 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
`;

/** One page without links to anything: slices and 3-D, volumes, trees, warnings, and what the labels were made of. */
export function scanPage(page: ScanPage): string {
  const { report, inputs } = page;
  const names = labelNames([...report.targets, ...report.structures]);
  const title = inputs.map((input) => basename(input)).join(', ');
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pulmonary vessels of ${title}</title>
<style>${new Markup(STYLE + LOOK)}</style>
</head>
<body>
<h1>Pulmonary vessels of ${title}</h1>
<p class="soft">Research use only: not a medical device.</p>
${warnings(report)}
${viewer(page)}
<h2>Volumes</h2>
${volumes(report, names)}
${trees(page, names)}
<h2>How this was made</h2>
${provenance(page)}
<script type="application/octet-stream" id="scan">${base64(page.scan)}</script>
<script type="application/octet-stream" id="labels">${base64(page.labels)}</script>
<script>${new Markup(page.niivue)}</script>
<script>${new Markup(viewerScript(names))}</script>
</body>
</html>
`.text;
}

function base64(bytes: Uint8Array): Markup {
  return new Markup(Buffer.from(bytes).toString('base64'));
}

function warnings({ warnings }: SegmentReport): Markup {
  if (warnings.length === 0) return NOTHING;
  const told = warnings.map(({ code, message }) => html`<p>${message} <code>${code}</code></p>`);
  return html`<div class="note">${told}</div>`;
}

function viewer({ picture, spacingMm }: ScanPage): Markup {
  const mm = spacingMm.map((length) => length.toFixed(2)).join(' × ');
  return html`<div id="viewer" hidden>
<div class="bar">
<label>show <select id="layout"><option value="all">slices and 3-D</option><option value="axial">axial</option>
<option value="coronal">coronal</option><option value="sagittal">sagittal</option>
<option value="solid">3-D</option></select></label>
<label>window <select id="window"><option value="-1000 400">lung and vessels</option>
<option value="-1350 150">lung</option>
<option value="-160 240">soft tissue</option></select></label>
<label>labels <input id="opacity" type="range" min="0" max="1" step="0.05" value="0.6"></label>
<label>scan <input id="scanned" type="range" min="0" max="1" step="0.05" value="1"></label>
</div>
<div class="stage"><canvas id="view"></canvas></div>
<output id="told"></output>
<p class="soft">The part of the scan around the labels, in voxels of ${mm} mm (z, y, x) and steps of 8 HU. Drag to
move, use the wheel to go through slices. The label map itself has the scan's own voxels.</p>
</div>
<p id="apology" class="note" hidden></p>
<figure><img alt="Slices of the scan with its labels, and projections of the labels"
src="data:image/png;base64,${base64(picture)}"><figcaption>The slices with most label, and projections; the patient's
right is at the left.</figcaption></figure>`;
}

function volumes({ targets, structures }: SegmentReport, names: LabelName[]): Markup {
  const rows = [...targets, ...structures].map(
    ({ name, value, voxels, volumeMl }, index) => html`<tr><td>${swatch(names[index])}${name}</td><td>${value}</td>
<td>${volumeMl.toFixed(1)}</td><td>${voxels}</td></tr>`,
  );
  return html`<div class="scroll"><table><thead><tr><th>what</th><th>value</th><th>ml</th><th>voxels</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function swatch(name: LabelName | undefined): Markup {
  return name ? html`<i class="swatch" style="background: rgb(${name.colour.join(' ')})"></i>` : NOTHING;
}

function trees({ trees }: ScanPage, names: LabelName[]): Markup {
  if (trees.length === 0) return NOTHING;
  const nameOf = (value: number) => names.find((name) => name.value === value);
  const rows = trees.map((tree) => {
    const { name, value, volumeMl, lengthMm, branches, pieces, loops } = tree;
    const loose = pieces.filter(({ isTree }) => !isTree).length;
    const highest = Math.max(0, ...branches.map(({ strahler }) => strahler));
    const length = (lengthMm / 1000).toFixed(2);
    return html`<tr><td>${swatch(nameOf(value))}${name}</td><td>${length}</td><td>${branches.length}</td>
<td>${highest}</td><td>${smallShare(tree)}</td><td>${pieces.length - loose}</td><td>${loose}</td>
<td>${loops.length}</td><td>${volumeMl.toFixed(1)}</td></tr>`;
  });
  const coloured = trees.map((tree) => ({ tree, colour: `rgb(${(nameOf(tree.value)?.colour ?? [128]).join(' ')})` }));
  return html`<h2>Trees</h2>
<div class="scroll"><table><thead><tr><th>what</th><th>length, m</th><th>branches</th><th>highest order</th>
<th>under 5 mm²</th><th>trees</th><th>loose pieces</th><th>loops</th><th>ml</th></tr></thead>
<tbody>${rows}</tbody></table></div>
<p class="soft">Orders are Strahler's. Under 5 mm²: the share of the volume in branches whose cross-section is smaller,
as BV5 counts it. Loops are cut; a true vessel has none.</p>
<h3>Length by diameter</h3>
${calibreChart(coloured)}`;
}

function smallShare({ branches, volumeMl }: MeasuredTree): string {
  const small = branches.filter(({ radiusMm }) => Math.PI * radiusMm * radiusMm < 5);
  const ml = small.reduce((sum, branch) => sum + branch.volumeMl, 0);
  return volumeMl > 0 ? `${((100 * ml) / volumeMl).toFixed(0)} %` : '–';
}

function provenance({ inputs, report }: ScanPage): Markup {
  const { model, folds, licence, citations, device, seconds, memory, output, record } = report;
  const facts: [string, string][] = [
    ['scan', inputs.join(', ')],
    ['label map', output],
    ['record with hashes', record ?? 'not written'],
    ['model', folds > 1 ? `${model}, mean of ${folds} folds` : model],
    ['licence of the model', licence ?? 'not known'],
    ['cite', citations.join('; ') || 'nothing'],
    ['program', `pulmoav ${version()}, node ${process.version}, ${process.platform} ${process.arch}, ${device}`],
    ['time', `${seconds.total.toFixed(1)} s`],
    ['memory', `${Math.round(memory.peakBytes / 2 ** 20)} MiB at most`],
    ['made', new Date().toISOString()],
    ['viewer', 'NiiVue 0.69.0, BSD-2-Clause'],
  ];
  return html`<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
