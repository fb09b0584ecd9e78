// The operators' kernels as code of the host: every kernels.cu, compiled by g++ with crates/cuda-double/host in place of
// CUDA, in one library that the double runs (EMU_KERNELS).
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { finished, inLanes, main, root, runs } from './command.mjs';
import { writeChanged } from './files.mjs';

const host = join(root, 'crates/cuda-double/host');
const runtime = ['fiber.cpp', 'runtime.cpp', 'warp.cpp', 'launch.cpp'].map((name) => join(host, name));
const common = ['-std=c++17', '-g1', '-fPIC', '-Wall', '-Wextra', '-Wno-unknown-pragmas', '-Wno-unused-parameter'];
// Products and sums are rounded one by one, so that every machine gives the same bits.
common.push('-ffp-contract=off', '-march=native', '-mtls-dialect=gnu2', '-fno-gnu-unique');
/** What the kernels are compiled with; the runtime goes without sanitizers, which are to see the kernels' accesses only. */
const kinds = {
  plain: { kernels: ['-O2'], runtime: ['-O2'], link: [] },
  address: {
    kernels: ['-O1', '-fsanitize=address,undefined', '-fno-sanitize=vptr'],
    runtime: ['-O2'],
    link: ['-fsanitize=address,undefined'],
  },
  thread: { kernels: ['-O1', '-fsanitize=thread'], runtime: ['-O2', '-DEMU_TSAN'], link: ['-fsanitize=thread'] },
};

/** Whether there is a compiler for them. */
export function canCompile() {
  return runs('g++');
}

/** The library of a kind; compiles what changed. `sources` are the operators, a copy of them where faults are planted. */
export async function hostKernels(kind = 'plain', sources = join(root, 'crates/ops/src'), out = folderOf(kind)) {
  mkdirSync(out, { recursive: true });
  const flags = kinds[kind];
  const headers = [...headersOf(sources), ...headersOf(host)];
  const include = ['-I', host, '-I', join(sources, 'cuda')];
  const jobs = [
    ...kernelFiles(sources).map((file) => ({ file: wrapped(file, out), of: file, flags: flags.kernels })),
    ...runtime.map((file) => ({ file, of: file, flags: flags.runtime })),
  ].map((job) => ({ ...job, object: join(out, `${basename(job.file)}.o`), key: contents([job.of, ...headers]) }));
  const stale = jobs.filter(({ object, key }) => !existsSync(object) || !isKept(object, key));
  for (const { object } of stale) rmSync(`${object}.key`, { force: true }); // a kill leaves no object under another's key
  await inLanes(stale, ({ file, flags: own, object }) =>
    finished('g++', [...common, ...own, ...include, '-c', '-o', object, file]),
  );
  for (const { object, key } of stale) writeFileSync(`${object}.key`, key);
  const library = join(out, 'libkernels.so');
  const objects = jobs.map(({ object }) => object);
  if (stale.length > 0 || !existsSync(library)) {
    await finished('g++', ['-shared', ...objects, ...flags.link, '-lpthread', '-o', library]);
  }
  return library;
}

/** Whether an object was made of this: times say little where files are copied to and fro. */
function isKept(object, key) {
  return existsSync(`${object}.key`) && readFileSync(`${object}.key`, 'utf8') === key;
}

function contents(paths) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(readFileSync(path));
  return hash.digest('hex');
}

function folderOf(kind) {
  return join(root, 'target/cuda/host', kind);
}

/** Each file in a namespace of its own, since helpers of different operators may have the same name. */
function wrapped(file, out) {
  const name = `${basename(dirname(file))}_${basename(file, '.cu')}`;
  const wrapper = join(out, `${name}.cpp`);
  writeChanged(
    wrapper,
    `#include "cuda_on_host.h"\nnamespace kernels_of_${name} {\n#include ${JSON.stringify(file)}\n}\n`,
  );
  return wrapper;
}

function files(folder, fits) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(fits)
    .map((name) => join(folder, name))
    .sort();
}

/** Every file of kernels below a folder. */
export function kernelFiles(folder) {
  return files(folder, (name) => name.endsWith('.cu'));
}

function headersOf(folder) {
  return files(folder, (name) => /\.(cuh|h)$/.test(name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => process.stdout.write(`${await hostKernels(process.argv[2])}\n`));
}
