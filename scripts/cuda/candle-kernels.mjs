// candle-kernels without its kernels for quantised weights and mixtures of experts, which pulmoav never launches: they
// take seven minutes to compile, 33 MB, and CUDA's runtime library. What is left are modules of PTX.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { output, Refusal, root } from './command.mjs';
import { writeChanged } from './files.mjs';

const name = 'candle-kernels';
/** Modules of PTX that stay; `quantized` becomes an empty one. */
const modules = ['affine', 'binary', 'cast', 'conv', 'fill', 'indexing', 'reduce', 'sort', 'ternary', 'unary'];

/** Writes the crate into `folder`, from cargo's own copy of the published one. */
export function candleKernels(folder) {
  const { source, version } = published();
  const sources = readdirSync(join(source, 'src'));
  const kept = sources.filter((file) => file.endsWith('.cuh') || modules.includes(file.replace(/\.cu$/, '')));
  for (const module of modules) {
    if (!kept.includes(`${module}.cu`)) throw new Refusal(`${name} ${version} has no ${module}.cu: ${cure}`);
  }
  for (const file of [...kept, 'lib.rs']) {
    writeChanged(join(folder, 'src', file), readFileSync(join(source, 'src', file), 'utf8'));
  }
  writeChanged(join(folder, 'src/ffi.rs'), stubs(readFileSync(join(source, 'src/ffi.rs'), 'utf8')));
  writeChanged(join(folder, 'build.rs'), build);
  writeChanged(
    join(folder, 'Cargo.toml'),
    `[package]\nname = "${name}"\nversion = "${version}"\nedition = "2021"\nbuild = "build.rs"\n`,
  );
}

const cure = 'change scripts/cuda/candle-kernels.mjs to fit it.';

function published() {
  const metadata = output('cargo', ['metadata', '--format-version', '1', '--locked', '--all-features'], {
    cwd: root,
    cure: 'Cargo has to reach its registry once.',
  });
  const found = JSON.parse(metadata).packages.find((crate) => crate.name === name);
  if (!found) throw new Refusal(`Cargo.lock names no ${name}: no crate has candle with the feature cuda.`);
  return { source: dirname(found.manifest_path), version: found.version };
}

/** A function in place of each declaration of the libraries left out: candle names them, nothing of ours calls them. */
function stubs(declarations) {
  const shown = declarations.replace(/#\[cfg\(feature = "cutile"\)\]\s*pub fn [^;]*;/g, '');
  const functions = [...shown.matchAll(/pub fn (\w+)\(([^)]*)\)( -> [^;]+)?;/g)].map(
    ([, symbol, parameters, result]) =>
      `pub unsafe extern "C" fn ${symbol}(${parameters.trim()})${result ?? ''} { absent("${symbol}") }\n`,
  );
  if (functions.length === 0) throw new Refusal(`${name}'s ffi.rs declares nothing that is known: ${cure}`);
  return `#![allow(unused_variables, non_snake_case, clippy::all)]
use core::ffi::c_void;
fn absent(name: &str) -> ! { panic!("{name}: pulmoav is built without candle's quantised and expert kernels") }
${functions.join('')}`;
}

const build = `//! PTX of each module, by the compiler of CUDA_HOME, for the oldest cards that are driven (compute capability 8.0).
use std::{env, fs, path::{Path, PathBuf}, process::Command, sync::Mutex, thread};

const MODULES: [&str; ${modules.length}] = ${JSON.stringify(modules)};

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let home = PathBuf::from(env::var_os("CUDA_HOME").expect("CUDA_HOME names no toolkit; run npm run build:cuda"));
    let waiting = Mutex::new(MODULES.to_vec());
    let workers = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| loop {
                let Some(module) = waiting.lock().expect("no worker panics here").pop() else { return };
                compile(&home, module, &out);
            });
        }
    });
    let constants = MODULES.map(|module| {
        format!("pub const {}: &str = include_str!(concat!(env!(\\"OUT_DIR\\"), \\"/{module}.ptx\\"));\\n", module.to_uppercase())
    });
    fs::write(out.join("ptx.rs"), constants.concat() + "pub const QUANTIZED: &str = \\"\\";\\n").expect("OUT_DIR is writable");
}

fn compile(home: &Path, module: &str, out: &Path) {
    let status = Command::new(home.join("bin/nvcc"))
        .args(["-ptx", "-arch=compute_80", "-std=c++17", "-O3", "--expt-relaxed-constexpr"])
        .arg(format!("src/{module}.cu")).arg("-o").arg(out.join(format!("{module}.ptx")))
        .status().expect("nvcc of CUDA_HOME runs");
    assert!(status.success(), "nvcc could not compile {module}.cu");
}
`;
