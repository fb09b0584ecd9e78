// The workspace of CUDA builds, in target/cuda/workspace: the clone's own crates through a link, its manifest with one
// crate patched, a copy of its lock file, and cargo's settings. So what is committed is never touched, and the CPU
// build's artefacts stay as they are.
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { candleKernels } from './candle-kernels.mjs';
import { main, root } from './command.mjs';
import { writeChanged } from './files.mjs';
import { toolkit } from './toolkit.mjs';

const place = join(root, 'target/cuda');

/** The folder in which `cargo ... --features cuda` works; made or brought up to date. */
export function workspace() {
  const home = toolkit();
  const folder = join(place, 'workspace');
  mkdirSync(folder, { recursive: true });
  candleKernels(join(place, 'candle-kernels'));
  if (!existsSync(join(folder, 'crates'))) symlinkSync('../../../crates', join(folder, 'crates'));
  const patch = '\n[patch.crates-io]\ncandle-kernels = { path = "../candle-kernels" }\n';
  writeChanged(join(folder, 'Cargo.toml'), readFileSync(join(root, 'Cargo.toml'), 'utf8') + patch);
  // Cargo takes the patched crate into its lock file; it starts anew where the clone's own changes.
  const lock = readFileSync(join(root, 'Cargo.lock'), 'utf8');
  if (writeChanged(join(folder, 'Cargo.lock.clone'), lock)) writeChanged(join(folder, 'Cargo.lock'), lock);
  writeChanged(join(folder, '.cargo/config.toml'), settings(home));
  return folder;
}

/** Environment of commands in the workspace: what would override its settings is taken out. */
export function environment(more = {}) {
  const { RUSTFLAGS, CARGO_ENCODED_RUSTFLAGS, CARGO_TARGET_DIR, CARGO_BUILD_TARGET, ...rest } = process.env;
  return { ...rest, ...more };
}

/** `dynamic-loading` lets cudarc find the CUDA libraries when they are first used, not when the program starts. */
function settings(home) {
  return `[build]
target = "host-tuple"
target-dir = ${JSON.stringify(join(place, 'build'))}
rustflags = ["--cfg", 'feature="dynamic-loading"']

[env]
CUDA_HOME = ${JSON.stringify(home)}
CUDA_PATH = ${JSON.stringify(home)}
CUDARC_CUDA_VERSION = "13000"
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(() => process.stdout.write(`${workspace()}\n`));
