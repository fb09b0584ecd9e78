// What a record says about where it was made, and how to start pulmoav in a process of its own.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { doctor, findModel, verifyModel } from '../dist/index.js';

/** The package's folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Processor, memory and versions. */
export function machine() {
  const { simd, threads, node, platform } = doctor();
  const processor = cpus()[0]?.model ?? 'unknown';
  return { processor, threads, simd, memoryGib: Math.round(totalmem() / 2 ** 30), platform, node };
}

const PEERS = ['torch', 'monai', 'nibabel', 'numpy', 'onnxruntime', 'scikit-image', 'scipy', 'transformers'];

/** Versions of the peers that an interpreter has. */
export function peerVersions(python) {
  if (!python) return undefined;
  const script = `
import importlib.metadata as m, json, sys
have = {d.metadata["Name"].lower(): d.version for d in m.distributions()}
print(json.dumps({"python": sys.version.split()[0], **{n: have[n] for n in ${JSON.stringify(PEERS)} if n in have}}))`;
  const { status, stdout, stderr } = spawnSync(python, ['-c', script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${python} ended with status ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

/** The command that was given; a path is written as seen from the package's folder. */
export function commandLine() {
  const args = process.argv.slice(2).map((arg) => (isAbsolute(arg) ? relative(root, arg) : arg));
  return ['npm run bench --', ...args].join(' ');
}

/** The commit that was measured, with `+` where files differ from it. */
export function sourceState() {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? '';
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'crates', 'src') !== '';
  return { commit: `${git('rev-parse', '--short', 'HEAD')}${changed ? '+' : ''}` };
}

/** A model's name, hash and voxel size. */
export async function modelFacts(model) {
  const path = findModel(model);
  const { name, spacingMm, parameters, preset } = await verifyModel(path);
  return { path, facts: { name, preset, parameters, spacingMm, sha256: sha256(join(path, 'model.safetensors')) } };
}

/** The hash of the addon in use. */
export function addonHash() {
  const folder = join(root, 'dist', 'native');
  const file = readdirSync(folder).find((name) => name.endsWith('.node'));
  return file ? sha256(join(folder, file)) : 'package';
}

/** SHA-256 of a file, in hexadecimal. */
export function sha256(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Runs one command of pulmoav in a fresh process: its JSON object and the wall time. */
export function pulmoav(...args) {
  const started = performance.now();
  const command = [join(root, 'dist', 'cli', 'main.js'), ...args, '--json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`pulmoav ${args.join(' ')} ended with status ${status}: ${stderr}`);
  return { ...JSON.parse(stdout), wallSeconds: (performance.now() - started) / 1000 };
}
