//! With the feature `cuda`: compiles every `.cu` file to cubins and PTX, and lists them for `src/cuda/kernels.rs`.
//!
//! `CUDA_HOME` names the toolkit; `PULMOAV_CUDA_ARCHS` the architectures, all that are supported by default. A kernel
//! that spills registers fails the build.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Ampere (A100; RTX 30), Ada, Hopper, Blackwell (B200; RTX 50).
const ARCHITECTURES: &str = "80,86,89,90a,100,120";
/// What the PTX is for: any later card.
const PTX_ARCHITECTURE: &str = "80";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(feature, values(\"dynamic-loading\"))");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    println!("cargo::rerun-if-env-changed=PULMOAV_CUDA_ARCHS");
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("src");
    let out = PathBuf::from(variable("OUT_DIR"));
    let headers = source.join("cuda");
    let architectures = env::var("PULMOAV_CUDA_ARCHS").unwrap_or_else(|_| ARCHITECTURES.into());
    let architectures: Vec<&str> = architectures.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut list = String::new();
    for folder in sorted(&source).iter().filter(|path| path.is_dir()) {
        for file in sorted(folder) {
            let extension = file.extension().unwrap_or_default();
            if extension == "cu" || extension == "cuh" {
                println!("cargo::rerun-if-changed={}", file.display());
            }
            if extension == "cu" {
                list.push_str(&compiled(&name(folder, &file), &file, &headers, &architectures, &out));
            }
        }
    }
    fs::write(out.join("kernels.rs"), list).expect("OUT_DIR can be written");
}

/// `conv3d` of `conv3d/kernels.cu`, `conv3d_tensor` of `conv3d/tensor.cu`.
fn name(folder: &Path, file: &Path) -> String {
    let part = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match part(file).as_str() {
        "kernels" => part(folder),
        other => format!("{}_{other}", part(folder)),
    }
}

/// Compiles one file; the Rust item that embeds what came out.
fn compiled(op: &str, kernels: &Path, headers: &Path, architectures: &[&str], out: &Path) -> String {
    let mut cubins = String::new();
    for architecture in architectures {
        let to = out.join(format!("{op}.sm_{architecture}.cubin"));
        nvcc(kernels, headers, &["-cubin", &format!("-arch=sm_{architecture}")], &to);
        let number: u32 = architecture.trim_end_matches(char::is_alphabetic).parse().expect("a number: 80, 90a");
        // Code for 90a runs on compute capability 9.0 alone, other code on every later minor version too.
        let _ = write!(cubins, "({number}, include_bytes!({to:?})), ");
    }
    let ptx = out.join(format!("{op}.ptx"));
    nvcc(kernels, headers, &["-ptx", &format!("-arch=compute_{PTX_ARCHITECTURE}")], &ptx);
    let name = op.to_uppercase();
    format!(
        "/// Kernels of `{op}`.\npub(crate) static {name}: Kernels = Kernels {{ name: {op:?}, cubins: \
         &[{cubins}], ptx: include_str!({ptx:?}) }};\n"
    )
}

fn nvcc(kernels: &Path, headers: &Path, what: &[&str], to: &Path) {
    let compiler = PathBuf::from(variable("CUDA_HOME")).join("bin/nvcc");
    let output = Command::new(&compiler)
        .args(["-std=c++17", "-O3", "-Xptxas", "-v", "-I"])
        .arg(headers)
        .args(what)
        .arg(kernels)
        .arg("-o")
        .arg(to)
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}; set CUDA_HOME", compiler.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nvcc {what:?} {}: {said}", kernels.display());
    let spilled = said.lines().find(|line| line.contains("spill") && !line.contains(" 0 bytes spill stores"));
    assert!(spilled.is_none(), "{} {what:?} spills registers: {spilled:?}", kernels.display());
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    paths.sort();
    paths
}
