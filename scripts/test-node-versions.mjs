// Uses the built package under several versions of Node: the addon, ES modules, CommonJS, worker threads, a small scan,
// and stopping. The binaries come from npm (node-PLATFORM-ARCH) into .nodes, once. `-- 20 22` takes these versions only.
// Status 75: a binary could not be had, as offline.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SKIPPED = 75;
/** The oldest version that is supported, and the newest of each line that was tried. */
const VERSIONS = ['20.19.0', '20.20.2', '22.23.5', '24.22.3', '26.12.1'];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const system = process.platform === 'win32' ? 'win' : process.platform;
const wanted = process.argv.slice(2).filter((argument) => /^\d/.test(argument));

function main() {
  const place = mkdtempSync(join(tmpdir(), 'pulmoav-nodes-'));
  try {
    prepare(place);
    const chosen = VERSIONS.filter((version) => wanted.length === 0 || wanted.includes(version.split('.')[0]));
    const ends = chosen.map((version) => use(version, place));
    if (ends.includes('failed')) return 1;
    return ends.includes('skipped') ? SKIPPED : 0;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** A user's folder in which `pulmoav` is this package. */
function prepare(place) {
  mkdirSync(join(place, 'node_modules'));
  symlinkSync(root, join(place, 'node_modules/pulmoav'), 'junction');
  for (const [name, text] of Object.entries(PROGRAMS)) writeFileSync(join(place, name), text);
}

function use(version, place) {
  const node = binary(version);
  if (!node) {
    say(`Node ${version}: skipped, its binary is not to be had`);
    return 'skipped';
  }
  const begun = performance.now();
  const environment = { ...process.env, NODE_OPTIONS: '', PULMOAV_ADDON: 'cpu' };
  const lines = Object.keys(PROGRAMS).map((name) => {
    const { status, stdout, stderr } = spawnSync(node, [name], { cwd: place, encoding: 'utf8', env: environment });
    const line = stdout.trim().split('\n').at(-1);
    return status === 0 && line ? { name, line } : { name, line: null, problem: stderr.trim() || `status ${status}` };
  });
  const failed = lines.filter(({ line }) => line === null);
  for (const { name, problem } of failed) say(`Node ${version}, ${name}: ${problem}`);
  const answers = new Set(lines.filter(({ name }) => /segments/.test(name)).map(({ line }) => line));
  if (answers.size > 1) say(`Node ${version}: answers differ: ${[...answers].join(' | ')}`);
  if (failed.length > 0 || answers.size > 1) return 'failed';
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  say(`Node ${version}: ${lines.length} programs in ${seconds} s; voxels of artery and vein ${[...answers][0]}`);
  return 'used';
}

/** The program of a version, fetched where it is not there; `null` where it cannot be had. */
function binary(version) {
  const folder = join(root, '.nodes', version);
  const name = `node-${system}-${process.arch}`;
  const node = join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(node)) return node;
  mkdirSync(folder, { recursive: true });
  const args = ['install', '--prefix', folder, '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--force'];
  spawnSync('npm', [...args, `${name}@${version}`], { stdio: 'ignore', shell: process.platform === 'win32' });
  return existsSync(node) ? node : null;
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

/** A chest that is as small as one can be: two lungs with rods in them. */
function chest() {
  const [nz, ny, nx] = [48, 64, 88];
  const data = new Int16Array(nz * ny * nx);
  const inLung = (z, y, x, centre) => ((z - 24) / 20) ** 2 + ((y - 32) / 19) ** 2 + ((x - centre) / 15) ** 2 < 1;
  for (let at = 0; at < data.length; at++) {
    const [z, y, x] = [Math.floor(at / (ny * nx)), Math.floor(at / nx) % ny, at % nx];
    const isBody = ((y - 32) / 30) ** 2 + ((x - 44) / 42) ** 2 < 1;
    const isRod = (y + Math.floor(x / 3)) % 9 < 2 && (Math.floor(z / 2) + x) % 11 < 3;
    if (inLung(z, y, x, 24) || inLung(z, y, x, 64)) data[at] = isRod ? 150 : -860;
    else data[at] = isBody ? 40 : -1024;
  }
  const affine = [1.75, 0, 0, -75, 0, 1.75, 0, -55, 0, 0, 2, 10, 0, 0, 0, 1];
  return { data, shape: [nz, ny, nx], spacingMm: [2, 1.75, 1.75], affine };
}

/** Programs of users; each prints a line, and those that segment print the same. */
const PROGRAMS = {
  'scan.mjs': `import { info, writeVolume } from 'pulmoav';
    const chest = ${chest};
    await writeVolume('scan.nii.gz', chest());
    console.log((await info('scan.nii.gz')).shape.join(' '));`,
  'esm-segments.mjs': `import { Segmenter } from 'pulmoav';
    const segmenter = await Segmenter.load();
    const { targets } = await segmenter.segment('scan.nii.gz');
    segmenter.dispose();
    console.log(targets.map(({ voxels }) => voxels).join(' '));`,
  'cjs-segments.cjs': `const { Segmenter, readVolume } = require('pulmoav');
    (async () => {
      const segmenter = await Segmenter.load();
      const { targets } = await segmenter.segment(await readVolume('scan.nii.gz'));
      segmenter.dispose();
      console.log(targets.map(({ voxels }) => voxels).join(' '));
    })();`,
  'worker-segments.mjs': `import { isMainThread, parentPort, Worker } from 'node:worker_threads';
    import { Segmenter } from 'pulmoav';
    if (isMainThread) new Worker(new URL(import.meta.url)).on('message', (line) => console.log(line));
    else {
      const segmenter = await Segmenter.load();
      const { targets } = await segmenter.segment('scan.nii.gz');
      segmenter.dispose();
      parentPort.postMessage(targets.map(({ voxels }) => voxels).join(' '));
    }`,
  'cancel.mjs': `import { Segmenter } from 'pulmoav';
    const segmenter = await Segmenter.load();
    const controller = new AbortController();
    const reason = new Error('enough');
    let ticks = 0;
    const timer = setInterval(() => { if (++ticks === 5) controller.abort(reason); }, 20);
    const error = await segmenter.segment('scan.nii.gz', { signal: controller.signal }).catch((error) => error);
    clearInterval(timer);
    if (error !== reason) throw new Error('it was not stopped', { cause: error });
    segmenter.dispose();
    console.log('stopped');`,
};

process.exitCode = main();
