// Packs the package and this platform's addon, installs both into an empty folder as users get them, without scripts
// and without a compiler, and uses them: ES modules, CommonJS, worker threads, the command line. `--json FILE` keeps
// sizes.
// Status 75: the dependencies could not be had, as offline.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SKIPPED = 75;
/** Most bytes of a packed addon for processors, and of what a user installs of ours. */
const MOST_ADDON_BYTES = 15e6;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const place = mkdtempSync(join(tmpdir(), 'pulmoav-package-'));
try {
  process.exitCode = main();
} finally {
  rmSync(place, { recursive: true, force: true });
}

function main() {
  const main = pack(root);
  const platform = pack(platformPackage());
  const user = join(place, 'user');
  mkdirSync(user);
  writeFileSync(join(user, 'package.json'), '{ "name": "user", "version": "1.0.0", "private": true }');
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', main.path, platform.path];
  const installed = spawnSync('npm', args, { cwd: user, encoding: 'utf8', env: userEnvironment() });
  if (installed.status !== 0) {
    if (!/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENOTCACHED/.test(installed.stderr)) return fail(installed.stderr);
    say('skipped: the registry is not reached, and the dependencies are not in the cache');
    return SKIPPED;
  }
  const sizes = {
    mainPackedBytes: main.bytes,
    addonPackedBytes: platform.bytes,
    addonBytes: platform.unpackedBytes,
    installedBytes: bytesBelow(join(user, 'node_modules')),
    dependencies: readdirSync(join(user, 'node_modules')).filter((name) => !/^[.@]|^pulmoav/.test(name)).length,
  };
  for (const [name, value] of Object.entries(sizes)) say(`${name}: ${value}`);
  const kept = process.argv.indexOf('--json');
  if (kept > 0) writeFileSync(process.argv[kept + 1], `${JSON.stringify(sizes, null, 2)}\n`);
  use(user);
  // A build for development is not stripped of what debuggers read.
  const isRelease = platform.unpackedBytes < 4 * MOST_ADDON_BYTES;
  if (isRelease && platform.bytes > MOST_ADDON_BYTES) return fail(`the addon has ${platform.bytes} bytes packed`);
  say('installed and used');
  return 0;
}

/** Runs what users run; each throws where it fails. */
function use(user) {
  const node = (file, text, ...args) => {
    writeFileSync(join(user, file), text);
    return run(user, process.execPath, [file, ...args]);
  };
  const made = node(
    'phantom.mjs',
    `import { phantom } from 'pulmoav';
     const [one] = await phantom({ out: 'data', seed: 900_101, style: 'plain' });
     console.log(one.image);`,
  );
  const scan = made.trim().split('\n').at(-1);
  const asked = `const { labels, targets } = await segmenter.segment(scan);
    segmenter.dispose();
    console.log(targets.map(({ voxels }) => voxels).join(' '), labels.data.length);`;
  const esm = node(
    'esm.mjs',
    `import { Segmenter } from 'pulmoav';
    const scan = process.argv[2]; const segmenter = await Segmenter.load({ quality: "fast" });\n${asked}`,
    scan,
  );
  const cjs = node(
    'cjs.cjs',
    `const { Segmenter } = require('pulmoav');
    (async () => { const scan = process.argv[2]; const segmenter = await Segmenter.load({ quality: "fast" });\n${asked} })();`,
    scan,
  );
  const worker = node(
    'worker.mjs',
    `import { isMainThread, Worker, workerData } from 'node:worker_threads';
    import { Segmenter } from 'pulmoav';
    if (isMainThread) new Worker(new URL(import.meta.url), { workerData: process.argv[2] });
    else { const scan = workerData; const segmenter = await Segmenter.load({ quality: "fast" });\n${asked} }`,
    scan,
  );
  if (esm !== cjs || esm !== worker) throw new Error(`answers differ: ${esm} ${cjs} ${worker}`);
  const bin = join(user, 'node_modules', '.bin', 'pulmoav');
  run(user, bin, ['--version']);
  run(user, bin, ['doctor', '--json']);
  run(user, bin, ['segment', scan, '-o', 'labels.seg.nrrd', '--report', 'report.html']);
  statSync(join(user, 'report.html'));
}

/** What a user's machine has: Node and nothing that compiles. */
function userEnvironment() {
  const path = dirname(process.execPath);
  return { ...process.env, PATH: `${path}:/usr/bin:/bin`, CC: '/bin/false', CXX: '/bin/false', CARGO: '/bin/false' };
}

function run(cwd, command, args) {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: userEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The package of this platform's addon, as napi's own command makes it. */
function platformPackage() {
  const native = join(root, 'dist/native');
  const [file] = readdirSync(native).filter((name) => name.endsWith('.node') && !name.includes('cuda'));
  if (!file) throw new Error('there is no addon in dist/native; run "npm run build" first');
  const name = file.replace(/\.node$/, '').replace('.', '-');
  const folder = join(place, name);
  mkdirSync(folder);
  cpSync(join(native, file), join(folder, file));
  const { version, license, repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const own = {
    name,
    version,
    license,
    repository,
    main: file,
    files: [file],
    os: [process.platform],
    cpu: [process.arch],
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(own));
  return folder;
}

function pack(folder) {
  const told = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', place], {
    cwd: folder,
    encoding: 'utf8',
  });
  const [{ filename, size, unpackedSize }] = JSON.parse(told);
  return { path: join(place, filename), bytes: size, unpackedBytes: unpackedSize };
}

function bytesBelow(folder) {
  const names = readdirSync(folder, { recursive: true });
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

function fail(problem) {
  say(`failed: ${problem}`);
  return 1;
}
