// The stand-in for the CUDA driver and its libraries (crates/cuda-double), in target/cuda/double: one library, and a
// link for each name that programs load.
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main, output, root } from './command.mjs';
import { copyWhole } from './files.mjs';

const names = ['libcuda.so.1', 'libcublas.so.13', 'libcurand.so.10', 'libnccl.so.2'];
const folder = join(root, 'target/cuda/double');

let built = false;

/** The folder for LD_LIBRARY_PATH; built or brought up to date, once a process. */
export function double() {
  if (!built) build();
  built = true;
  return folder;
}

function build() {
  // For the machine that it runs on: whole networks go through it.
  const flags = '-C target-cpu=native';
  const target = join(root, 'target/cuda/double-build');
  output('cargo', ['build', '--quiet', '--locked', '-p', 'pulmoav-cuda-double', '--target-dir', target], {
    cwd: root,
    env: { ...process.env, RUSTFLAGS: flags },
    stdio: ['ignore', 'pipe', 'inherit'],
    cure: "The compiler's own words stand above.",
  });
  const triple = /^host: (.*)$/m.exec(output('rustc', ['-vV']))[1];
  mkdirSync(folder, { recursive: true });
  copyWhole(join(target, triple, 'debug/libcuda_double.so'), join(folder, 'libcuda_double.so'));
  for (const name of names) {
    if (!existsSync(join(folder, name))) symlinkSync('libcuda_double.so', join(folder, name));
  }
  // Beside, since kernels would be raced against it wherever it is found.
  const cudnn = join(folder, 'cudnn');
  mkdirSync(cudnn, { recursive: true });
  if (!existsSync(join(cudnn, 'libcudnn.so.9'))) symlinkSync('../libcuda_double.so', join(cudnn, 'libcudnn.so.9'));
}

/** The environment of a program on the double; `more` are its settings, see `crates/cuda-double/src/settings.rs`. */
export function onDouble(more = {}) {
  const path = [double(), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
  return { ...process.env, LD_LIBRARY_PATH: path, ...more };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(() => process.stdout.write(`${double()}\n`));
