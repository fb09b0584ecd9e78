import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { decode } from 'fast-png';
import { type MeasuredTree, type SegmentReport, type Volume, writeVolume } from 'pulmoav';
import { lengthsByDiameter } from '../dist/report/scan/calibre.js';
import { partOf, thinnedLabels, thinnedScan } from '../dist/report/scan/crop.js';
import { writeScanPage } from '../dist/report/scan/write.js';
import { pulmoav } from './command.js';
import { chest, folder } from './fixture.js';

const grid = { shape: [4, 6, 8] as [number, number, number], spacingMm: [2, 1, 1] as [number, number, number] };
const affine = [-1, 0, 0, 10, 0, 1, 0, 20, 0, 0, 2, 30, 0, 0, 0, 1];
const count = 4 * 6 * 8;

test('a part is the box around the labels, thinned out where it is finest', (t) => {
  const labels: Volume = { ...grid, affine, data: new Uint8Array(count) };
  labels.data[8 * (6 * 1 + 2) + 3] = 1;
  labels.data[8 * (6 * 2 + 4) + 6] = 2;
  const part = partOf(labels, 0, 100);
  t.deepEqual(part, { start: [1, 2, 3], shape: [2, 3, 4], step: [1, 1, 1] });
  t.deepEqual([...thinnedLabels(labels, part).data].filter(Boolean), [1, 2]);
  t.deepEqual(thinnedLabels(labels, part).affine, [-1, 0, 0, 7, 0, 1, 0, 22, 0, 0, 2, 32, 0, 0, 0, 1]);
  t.deepEqual(partOf(labels, 1000, 1000).shape, [4, 6, 8]);
  const few = partOf(labels, 0, 6);
  t.true(few.step[1] > 1 && few.step[2] > 1 && few.step[0] === 1, JSON.stringify(few));
  const empty = { ...labels, data: new Uint8Array(count) };
  t.deepEqual(partOf(empty, 0, 1000).shape, [4, 6, 8]);
});

test('a thinned scan has the means of its blocks, in their middle', (t) => {
  const data = Int16Array.from({ length: count }, (_, index) => (index % 8 < 4 ? -1000 : 3000));
  const scan: Volume = { ...grid, affine, data };
  const part = { start: [0, 0, 0], shape: [4, 3, 2], step: [1, 2, 4] } as Parameters<typeof thinnedScan>[1];
  const thin = thinnedScan(scan, part);
  t.deepEqual(
    [...new Set(thin.data as Int16Array)].sort((a, b) => Number(a) - Number(b)),
    [-1000, 1504],
  );
  t.deepEqual(thin.spacingMm, [2, 2, 4]);
  t.deepEqual(thin.affine.slice(0, 4), [-4, 0, 0, 8.5]);
});

test('lengths are sorted by diameter', (t) => {
  const points: MeasuredTree['branches'][number]['points'] = [
    [0, 0, 0, 0.4],
    [3, 4, 0, 0.4],
    [3, 4, 2, 20],
  ];
  const lengths = lengthsByDiameter({ branches: [{ points } as MeasuredTree['branches'][number]] });
  t.deepEqual([lengths[0], lengths.at(-1)], [5, 2]);
});

test('a page has at most 15 MB, whatever is in the scan', async (t) => {
  // Noise is what packs worst; chests with noise of 15 HU take half of it.
  const shape: [number, number, number] = [150, 200, 200];
  const noise = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let at = 0; at < noise.length; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536));
  const place = { shape, spacingMm: [2, 1, 1] as [number, number, number], affine };
  const ct: Volume = { ...place, data: Int16Array.from(noise, (value) => 10 * value - 1024) };
  const labels: Volume = { ...place, data: noise };
  const page = join(folder(), 'page.html');
  const report = { targets: [], structures: [], warnings: [], citations: [], folds: 1, seconds: { total: 1 } };
  const rest = { memory: { peakBytes: 1 }, model: 'noise', device: 'cpu', output: 'noise.nii.gz' };
  await writeScanPage(page, ['noise.nii.gz'], { ct, labels }, { ...report, ...rest } as unknown as SegmentReport, {});
  const { size } = statSync(page);
  t.true(size <= 15e6 && size > 5e6, `${size}`);
});

const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => {
  try {
    return execFileSync(name, ['--version'], { stdio: 'ignore' }) ?? true;
  } catch {
    return false;
  }
});

test('a page of one scan opens offline and shows it', async (t) => {
  const at = folder();
  const [scan, output, page] = ['scan.nii.gz', 'labels.nii.gz', 'page.html'].map((name) => join(at, name)) as [
    string,
    string,
    string,
  ];
  await writeVolume(scan, chest().ct);
  const ended = await pulmoav('segment', scan, '-o', output, '--report', page);
  t.is(ended.status, 0, ended.stderr);
  t.true(statSync(page).size < 15e6);
  const text = readFileSync(page, 'utf8');
  // Nothing is fetched from anywhere.
  const own = text.slice(0, text.indexOf('<script'));
  t.notRegex(own, /(src|href)="(?!data:)/);
  t.regex(own, /<h2>Volumes<\/h2>[\s\S]*artery[\s\S]*<h2>Trees<\/h2>[\s\S]*<h2>How this was made<\/h2>/);
  t.is((await pulmoav('segment', scan, '-o', output, '--overwrite', '--report', join(at, 'page.pdf'))).status, 2);
  if (!CHROMIUM) {
    t.log('skipped: no Chromium is here');
    return;
  }
  const picture = join(at, 'page.png');
  const flags = [
    '--headless',
    '--no-sandbox',
    '--use-gl=angle',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
  ];
  const more = ['--hide-scrollbars', '--window-size=1160,1500', '--virtual-time-budget=20000', '--timeout=60000'];
  const chromium = (...args: string[]) =>
    execFileSync(CHROMIUM, [...flags, ...more, `--user-data-dir=${join(at, 'profile')}`, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 120_000,
      maxBuffer: 1 << 28,
    });
  const shown = chromium('--dump-dom', pathToFileURL(page).href);
  t.regex(shown, /<body data-viewer="shown">/, /id="apology"[^>]*>[^<]*/.exec(shown)?.[0]);
  chromium(`--screenshot=${picture}`, pathToFileURL(page).href);
  const { width, height, data, channels } = decode(readFileSync(picture));
  // In the canvas there are colours of arteries and veins.
  let coloured = 0;
  for (let at = 0; at < width * height * channels; at += channels) {
    const [red = 0, green = 0, blue = 0] = [data[at], data[at + 1], data[at + 2]];
    if (Math.abs(red - blue) > 80 && Math.max(red, green, blue) > 120) coloured++;
  }
  t.true(coloured > 500, `${coloured} coloured pixels`);
});
