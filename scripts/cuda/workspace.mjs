// The workspace of CUDA builds, in target/cuda/workspace: the clone's own crates through links, its manifest with one
// crate patched, a copy of its lock file, and cargo's settings. So what is committed is never touched. It builds into
// the clone's target folder, where others' crates are compiled once for both.
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { candleKernels } from './candle-kernels.mjs';
import { main, Refusal, root } from './command.mjs';
import { writeChanged } from './files.mjs';
import { toolkit } from './toolkit.mjs';

const place = join(root, 'target/cuda');
const compiler = join(place, 'rustc.sh');
/** The library of the addon with CUDA code: under the same name it would take the place of the CPU's in the target folder. */
export const LIBRARY = 'pulmoav_node_cuda';

/**
 * Stands before the compiler. `dynamic-loading` lets cudarc find the CUDA libraries when they are first used, not when
 * the program starts. As a flag for all crates it would have all of them compiled again.
 */
const wrapper = `#!/bin/sh
case " $* " in
  *" --crate-name cudarc "* | *" --crate-name pulmoav_ops "*) exec "$@" --cfg 'feature="dynamic-loading"' ;;
esac
exec "$@"
`;

/** The folder in which `cargo ... --features cuda` works; made or brought up to date. */
export function workspace() {
  const home = toolkit();
  const folder = join(place, 'workspace');
  mkdirSync(folder, { recursive: true });
  candleKernels(join(place, 'candle-kernels'));
  linkCrates(join(folder, 'crates'));
  const patch = '\n[patch.crates-io]\ncandle-kernels = { path = "../candle-kernels" }\n';
  writeChanged(join(folder, 'Cargo.toml'), readFileSync(join(root, 'Cargo.toml'), 'utf8') + patch);
  // Cargo takes the patched crate into its lock file; it starts anew where the clone's own changes.
  const lock = readFileSync(join(root, 'Cargo.lock'), 'utf8');
  if (writeChanged(join(folder, 'Cargo.lock.clone'), lock)) writeChanged(join(folder, 'Cargo.lock'), lock);
  writeChanged(join(folder, '.cargo/config.toml'), settings(home));
  writeChanged(compiler, wrapper);
  chmodSync(compiler, 0o755);
  return folder;
}

/** Links to the clone's crates; the door has a manifest of its own, which names its library. */
function linkCrates(folder) {
  // Links are made anew, since crates come and go.
  const isFolder = lstatSync(folder, { throwIfNoEntry: false })?.isDirectory();
  for (const name of isFolder ? readdirSync(folder) : []) if (name !== 'node') rmSync(join(folder, name));
  if (!isFolder) rmSync(folder, { force: true });
  const door = join(folder, 'node');
  mkdirSync(door, { recursive: true });
  for (const name of readdirSync(join(root, 'crates'))) {
    if (name !== 'node') symlinkSync(join('../../../../crates', name), join(folder, name));
  }
  for (const name of ['src', 'build.rs']) {
    rmSync(join(door, name), { force: true });
    symlinkSync(join('../../../../../crates/node', name), join(door, name));
  }
  const manifest = readFileSync(join(root, 'crates/node/Cargo.toml'), 'utf8');
  const named = manifest.replace('[lib]\n', `[lib]\nname = "${LIBRARY}"\n`);
  if (named === manifest) throw new Refusal('crates/node/Cargo.toml has no [lib] of its own any more.');
  writeChanged(join(door, 'Cargo.toml'), named);
}

/** Environment of commands in the workspace: what would override its settings is taken out. */
export function environment(more = {}) {
  const { RUSTC_WRAPPER, CARGO_BUILD_RUSTC_WRAPPER, CARGO_TARGET_DIR, CARGO_BUILD_TARGET, ...rest } = process.env;
  return { ...rest, ...more };
}

function settings(home) {
  return `[build]
target = "host-tuple"
target-dir = ${JSON.stringify(join(root, 'target'))}
rustc-wrapper = ${JSON.stringify(compiler)}

[env]
CUDA_HOME = ${JSON.stringify(home)}
CUDA_PATH = ${JSON.stringify(home)}
CUDARC_CUDA_VERSION = "13000"
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(() => process.stdout.write(`${workspace()}\n`));
