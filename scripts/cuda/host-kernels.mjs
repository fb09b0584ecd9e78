// The operators' kernels as code of the host: every kernels.cu, compiled by g++ with crates/cuda-double/host in place of
// CUDA, in one library that the double runs (EMU_KERNELS).
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inParallel, main, root, runs } from './command.mjs';
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
  const headers = newest([...headersOf(sources), ...headersOf(host)]);
  const jobs = [
    ...kernelFiles(sources).map((file) => ({ file: wrapped(file, out), of: file, flags: flags.kernels })),
    ...runtime.map((file) => ({ file, of: file, flags: flags.runtime })),
  ];
  const include = ['-I', host, '-I', join(sources, 'cuda')];
  const objects = jobs.map(({ file }) => join(out, `${basename(file)}.o`));
  const stale = jobs.filter((job, at) => olderThan(objects[at], Math.max(headers, newest([job.of]))));
  const compile = ({ file, flags }) => ['g++', [...common, ...flags, ...include, '-c', file, '-o', join(out, `${basename(file)}.o`)]];
  await inParallel(stale.map(compile), availableParallelism());
  const library = join(out, 'libkernels.so');
  if (olderThan(library, newest(objects))) {
    await inParallel([['g++', ['-shared', '-o', library, ...objects, ...flags.link, '-lpthread']]], 1);
  }
  return library;
}

function folderOf(kind) {
  return join(root, 'target/cuda/host', kind);
}

/** Each file in a namespace of its own, since helpers of different operators may have the same name. */
function wrapped(file, out) {
  const name = basename(dirname(file));
  const wrapper = join(out, `${name}.cpp`);
  writeChanged(wrapper, `#include "cuda_on_host.h"\nnamespace kernels_of_${name} {\n#include ${JSON.stringify(file)}\n}\n`);
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

function newest(paths) {
  return Math.max(...paths.map((path) => statSync(path).mtimeMs));
}

function olderThan(path, time) {
  return !existsSync(path) || statSync(path).mtimeMs < time;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => process.stdout.write(`${await hostKernels(process.argv[2])}\n`));
}
