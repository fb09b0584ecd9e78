// A CUDA 13.0 compiler without a GPU, a driver or an installation: from NVIDIA's wheels, in target/cuda/toolkit.
// An installed toolkit is taken instead where CUDA_HOME names one.
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main, output, Refusal, root, runs } from './command.mjs';

/** PTX of a newer compiler needs a newer driver than R580, so the version is pinned. */
const wheels = [
  'nvidia-cuda-nvcc==13.0.88',
  'nvidia-nvvm==13.0.88',
  'nvidia-cuda-crt==13.0.88',
  'nvidia-cuda-cccl==13.0.85',
  'nvidia-cuda-runtime==13.0.96',
];
const home = join(root, 'target/cuda/toolkit');
/** Libraries that links name. Empty ones leave no trace in what is linked: it loads the real ones at run time. */
const stubs = ['cuda', 'cublas', 'cublasLt', 'curand', 'nvrtc', 'nccl'];

/** The folder to be given as CUDA_HOME; made where it is not there yet. */
export function toolkit() {
  if (!runs('g++')) throw new Refusal('nvcc needs g++, which does not run here: install it (Debian: apt install g++).');
  const installed = process.env.CUDA_HOME;
  if (installed) return checked(installed);
  if (!existsSync(home)) make();
  return home;
}

/** An installed toolkit, if it is new enough and can compile. */
function checked(path) {
  const cure = 'Unset CUDA_HOME to take the compiler from pip, or let it name CUDA 13.0 or newer.';
  const said = output(join(path, 'bin/nvcc'), ['--version'], { cure });
  const version = /release (\d+)\.\d+/.exec(said)?.[1] ?? '0';
  if (Number(version) < 13)
    throw new Refusal(`CUDA_HOME=${path} has CUDA ${version}; 13.0 or newer is needed. ${cure}`);
  return path;
}

/** Unpacks the wheels beside the place and moves them there whole, so that a kill leaves nothing half made. */
function make() {
  const work = `${home}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'wheels'), { recursive: true });
  try {
    const cure = 'The CUDA build needs Python 3 with pip and a package index, or CUDA_HOME naming CUDA 13.0 or newer.';
    const download = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:'];
    output('python3', [...download, '--dest', join(work, 'wheels'), ...wheels], { cure });
    for (const wheel of readdirSync(join(work, 'wheels'))) {
      output('python3', ['-m', 'zipfile', '-e', join(work, 'wheels', wheel), join(work, 'unpacked')]);
    }
    const unpacked = join(work, 'unpacked/nvidia/cu13');
    finish(unpacked);
    if (existsSync(home)) return;
    renameSync(unpacked, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What wheels lose or lack: execute bits, the names that linkers ask for, and libraries to link against. */
function finish(path) {
  for (const folder of ['bin', 'nvvm/bin']) {
    for (const file of readdirSync(join(path, folder))) chmodSync(join(path, folder, file), 0o755);
  }
  symlinkSync('libcudart_static.a', join(path, 'lib/libcudart.a'));
  for (const name of stubs) {
    const library = join(path, `lib/lib${name}.so`);
    output('cc', ['-shared', '-x', 'c', '-o', library, '/dev/null'], {
      cure: 'A C compiler is needed, as Rust needs one.',
    });
  }
  if (!existsSync(join(path, 'lib64'))) symlinkSync('lib', join(path, 'lib64'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(() => process.stdout.write(`${toolkit()}\n`));
