//! With the feature `cuda`: compiles every `.cu` file to cubins and PTX, and lists them for `src/cuda/kernels.rs`.
//!
//! `CUDA_HOME` names the toolkit; `PULMOAV_CUDA_ARCHS` the architectures, all that are supported by default. A kernel
//! that spills registers fails the build, and so does one whose `wgmma` the compiler serializes.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

/// Ampere (A100; RTX 30), Ada, Hopper, Blackwell (B200; RTX 50).
const ARCHITECTURES: &str = "80,86,89,90a,100,120";
/// What the PTX is for: any later card.
const PTX_ARCHITECTURE: &str = "80";
/// Files for one architecture alone, whose PTX is for its cards too.
const FOR_ONE: [(&str, &str); 1] = [("conv3d_wgmma", "90a")];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(feature, values(\"dynamic-loading\"))");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    println!("cargo::rerun-if-env-changed=PULMOAV_CUDA_ARCHS");
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("src");
    println!("cargo::rerun-if-changed={}", source.display());
    let out = PathBuf::from(variable("OUT_DIR"));
    let architectures = env::var("PULMOAV_CUDA_ARCHS").unwrap_or_else(|_| ARCHITECTURES.into());
    let architectures: Vec<&str> = architectures.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let folders: Vec<PathBuf> = sorted(&source).into_iter().filter(|path| path.is_dir()).collect();
    let files: Vec<PathBuf> = folders.iter().flat_map(|folder| sorted(folder)).collect();
    let is = |file: &&PathBuf, extension: &str| file.extension().is_some_and(|found| found == extension);
    let headers = files.iter().filter(|file| is(file, "cuh"));
    let newest = headers.filter_map(|header| modified(header)).max().unwrap_or(SystemTime::UNIX_EPOCH);
    let sources: Vec<Source> = files
        .iter()
        .filter(|file| is(file, "cu"))
        .map(|file| Source { name: name(file), file: file.clone(), headers: source.join("cuda"), newest })
        .collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs() {
            scope.spawn(|| {
                while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    source.compile(&architectures, &out);
                }
            });
        }
    });
    let list: String = sources.iter().map(|source| source.item(&architectures, &out)).collect();
    fs::write(out.join("kernels.rs"), list).expect("OUT_DIR can be written");
}

fn jobs() -> usize {
    env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|facts| facts.modified()).ok()
}

/// One file of kernels.
struct Source {
    name: String,
    file: PathBuf,
    headers: PathBuf,
    /// When the last of all headers was changed.
    newest: SystemTime,
}

impl Source {
    fn cubin(&self, architecture: &str, out: &Path) -> PathBuf {
        out.join(format!("{}.sm_{architecture}.cubin", self.name))
    }

    fn ptx(&self, out: &Path) -> PathBuf {
        out.join(format!("{}.ptx", self.name))
    }

    /// The one architecture that the file is for, if it is for one alone.
    fn only(&self) -> Option<&'static str> {
        FOR_ONE.iter().find(|(name, _)| *name == self.name).map(|(_, architecture)| *architecture)
    }

    /// Those of the architectures that the file is for.
    fn of<'a>(&self, architectures: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        let only = self.only();
        architectures.iter().copied().filter(move |architecture| only.is_none_or(|only| only == *architecture))
    }

    fn compile(&self, architectures: &[&str], out: &Path) {
        let ptx = self.ptx(out);
        let of_ptx = self.only().unwrap_or(PTX_ARCHITECTURE);
        self.nvcc(&["-ptx", &format!("-arch=compute_{of_ptx}")], &self.file, &ptx);
        for architecture in self.of(architectures) {
            // Cards of one generation differ in nothing that is asked for here: their PTX is the same.
            let from = if architecture.starts_with('8') { &ptx } else { &self.file };
            self.nvcc(&["-cubin", &format!("-arch=sm_{architecture}")], from, &self.cubin(architecture, out));
        }
    }

    /// The Rust item that embeds what came out; paths are quoted as Rust quotes them.
    #[allow(clippy::unnecessary_debug_formatting)]
    fn item(&self, architectures: &[&str], out: &Path) -> String {
        let mut cubins = String::new();
        for architecture in self.of(architectures) {
            let number: u32 = architecture.trim_end_matches(char::is_alphabetic).parse().expect("a number: 80, 90a");
            let _ = write!(cubins, "({number}, include_bytes!({:?})), ", self.cubin(architecture, out));
        }
        let (name, item, ptx) = (&self.name, self.name.to_uppercase(), self.ptx(out));
        format!(
            "/// Kernels of `{name}`.\npub(crate) static {item}: Kernels = Kernels {{ name: {name:?}, cubins: \
             &[{cubins}], ptx: include_str!({ptx:?}) }};\n"
        )
    }

    /// Compiles the file, or PTX made of it, unless what would come out is there and newer.
    fn nvcc(&self, what: &[&str], from: &Path, to: &Path) {
        let newest = modified(&self.file).map_or(self.newest, |changed| changed.max(self.newest));
        if modified(to).is_some_and(|made| made > newest) {
            return;
        }
        let compiler = PathBuf::from(variable("CUDA_HOME")).join("bin/nvcc");
        let output = Command::new(&compiler)
            .args(["-std=c++17", "-O3", "-Xptxas", "-v", "-I"])
            .arg(&self.headers)
            .args(what)
            .arg(from)
            .arg("-o")
            .arg(to)
            .output()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}; set CUDA_HOME", compiler.display()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nvcc {what:?} {}: {said}", from.display());
        let spilled = said.lines().find(|line| line.contains("spill") && !line.contains(" 0 bytes spill stores"));
        // Products of wgmma that the compiler has wait for each other.
        let serialized = said.lines().find(|line| line.contains("are serialized"));
        if let Some(slow) = spilled.or(serialized) {
            let _ = fs::remove_file(to);
            panic!("{} {what:?} spills registers or is slow: {slow}", from.display());
        }
    }
}

/// `conv3d` of `conv3d/kernels.cu`, `conv3d_tensor` of `conv3d/tensor.cu`.
fn name(file: &Path) -> String {
    let part = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.parent().map(part).unwrap_or_default();
    match part(file).as_str() {
        "kernels" => folder,
        other => format!("{folder}_{other}"),
    }
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
