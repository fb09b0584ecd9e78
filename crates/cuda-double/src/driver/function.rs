//! Modules and the kernels in them.

use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::device::most_shared;
use super::state::state;
use super::{Answer, Code, Out, api, refuse, text};
use crate::host::{self, HostKernel};
use crate::ptx::{Kernel, Module};
use crate::settings::settings;

/// A loaded module.
pub(crate) enum Image {
    Ptx(Module),
    /// A cubin: the names of its kernels, which run as the host's compiler made them.
    Cubin(Vec<String>),
}

/// What runs where a function is launched.
pub(crate) enum Body {
    Interpreted(Arc<Kernel>),
    Compiled(HostKernel),
}

pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) body: Body,
    pub(crate) image: Arc<Image>,
    /// Offset and bytes of each parameter.
    pub(crate) parameters: Vec<(usize, usize)>,
    /// The most threads of a block.
    pub(crate) threads: u32,
    /// Shared memory that the kernel declares.
    pub(crate) shared_bytes: usize,
    /// The most that a launch may add.
    pub(crate) most_dynamic: AtomicUsize,
}

/// Shared memory that a block gets unasked.
const SHARED: usize = 48 << 10;

impl Function {
    fn find(image: &Arc<Image>, name: &str) -> Result<Function, Code> {
        let (body, parameters, threads, shared_bytes) = match &**image {
            Image::Ptx(module) => {
                let kernel = match module.kernel(name) {
                    None => return refuse(Code::NotFound, format_args!("the module holds no kernel {name}")),
                    Some(Err(why)) => return refuse(Code::InvalidPtx, why),
                    Some(Ok(kernel)) => kernel,
                };
                if let Some(first) = kernel.unknown.first() {
                    eprintln!("[cuda double] {name}: {} instructions are {first}", kernel.unknown.len());
                }
                let parameters = kernel.parameters.iter().map(|place| (place.offset, place.bytes)).collect();
                let (threads, shared_bytes) = (kernel.threads, kernel.shared_bytes);
                (Body::Interpreted(kernel), parameters, threads, shared_bytes)
            }
            Image::Cubin(names) => {
                let found = names.iter().any(|known| known == name).then(|| HostKernel::find(name)).flatten();
                let Some(kernel) = found else {
                    return refuse(
                        Code::NotFound,
                        format_args!("the cubin or the host's library has no kernel {name}"),
                    );
                };
                (Body::Compiled(kernel), place(&kernel.parameters()), kernel.threads(), 0)
            }
        };
        let most_dynamic = AtomicUsize::new(SHARED - shared_bytes.min(SHARED));
        let (name, image) = (name.to_owned(), Arc::clone(image));
        Ok(Function { name, body, image, parameters, threads, shared_bytes, most_dynamic })
    }
}

/// Offsets of parameters, each at a multiple of its size, 8 or 16 at most as compilers place structures.
fn place(sizes: &[usize]) -> Vec<(usize, usize)> {
    let mut end = 0;
    let place = |bytes: &usize| {
        let align = (1 << bytes.trailing_zeros()).min(8);
        let offset = usize::next_multiple_of(end, align);
        end = offset + bytes;
        (offset, *bytes)
    };
    sizes.iter().map(place).collect()
}

/// A cubin's bytes, read as far as its headers say.
struct Elf(*const u8);

impl Elf {
    fn at<const N: usize>(&self, offset: u64) -> [u8; N] {
        // SAFETY: the interface demands a whole image, and the offset is one of its headers'.
        unsafe { self.0.add(offset as usize).cast::<[u8; N]>().read_unaligned() }
    }

    fn number<const N: usize>(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(&self.at::<N>(offset));
        u64::from_le_bytes(bytes)
    }

    /// The architecture that it is for, as in `sm_90`.
    fn architecture(&self) -> u64 {
        self.number::<4>(48) >> 8 & 0xff
    }

    /// Names of its kernels: each has a section `.text.NAME` (ELF-64's layout: System V ABI, chapter 4).
    fn kernels(&self) -> Vec<String> {
        let (table, each, count) = (self.number::<8>(40), self.number::<2>(58), self.number::<2>(60));
        let section = |at: u64| table + at * each;
        let names = self.number::<8>(section(self.number::<2>(62)) + 24);
        let name =
            |at: u64| text(self.0.wrapping_add((names + self.number::<4>(section(at))) as usize).cast::<c_char>());
        (0..count).filter_map(|at| name(at).strip_prefix(".text.").map(str::to_owned)).collect()
    }
}

fn load(pointer: *const u8) -> Result<Image, Code> {
    let elf = Elf(pointer);
    if pointer.is_null() {
        return Err(Code::InvalidValue);
    }
    if elf.at::<4>(0) == *b"\x7fELF" {
        let (architecture, (major, minor)) = (elf.architecture(), settings().capability);
        let fits = architecture / 10 == major as u64 && architecture % 10 <= minor as u64;
        if !fits || !host::is_there() {
            let why = if fits { "EMU_KERNELS names no library of its kernels" } else { "it is for another card" };
            return refuse(Code::NoBinaryForGpu, format_args!("a cubin for sm_{architecture}: {why}"));
        }
        return Ok(Image::Cubin(elf.kernels()));
    }
    let source = text(pointer.cast::<c_char>());
    if !source.contains(".version") {
        return refuse(Code::InvalidImage, "a module that is neither PTX nor a cubin");
    }
    let planted = planted(source);
    Module::load(planted.as_deref().unwrap_or(source)).map(Image::Ptx).or_else(|why| refuse(Code::InvalidPtx, why))
}

/// What `EMU_PTX` puts in the place of this module.
fn planted(source: &str) -> Option<String> {
    fn first(text: &str) -> Option<&str> {
        text.split_once(".entry ")?.1.split('(').next().map(str::trim)
    }
    let text = std::fs::read_to_string(settings().ptx.as_deref()?).ok()?;
    (first(&text) == first(source)).then_some(text)
}

fn function(handle: u64) -> Result<Arc<Function>, Code> {
    state().functions.get(&handle).map(Arc::clone).ok_or(Code::InvalidHandle)
}

fn load_data(handle: Out<u64>, pointer: *const u8) -> Answer {
    state().alive()?;
    state().not_beside_capture("loading a module")?;
    let image = Arc::new(load(pointer)?);
    let mut state = state();
    let new = state.handle();
    state.images.insert(new, image);
    handle.set(new)
}

fn image(handle: u64) -> Result<Arc<Image>, Code> {
    state().images.get(&handle).map(Arc::clone).ok_or(Code::InvalidHandle)
}

api! {
    fn cuModuleLoadData(handle: Out<u64>, pointer: *const u8) { load_data(handle, pointer) }
    fn cuModuleLoadDataEx(handle: Out<u64>, pointer: *const u8, _count: u32, _options: u64, _values: u64) {
        load_data(handle, pointer)
    }
    fn cuModuleLoad(handle: Out<u64>, path: *const c_char) {
        let mut bytes = std::fs::read(text(path)).map_err(|_| Code::NotFound)?;
        bytes.push(0);
        load_data(handle, bytes.as_ptr())
    }
    fn cuModuleUnload(handle: u64) { state().images.remove(&handle).map(|_| ()).ok_or(Code::InvalidHandle) }
    fn cuModuleGetFunction(handle: Out<u64>, module: u64, name: *const c_char) {
        let function = Function::find(&image(module)?, text(name))?;
        let mut state = state();
        let new = state.handle();
        state.functions.insert(new, Arc::new(function));
        handle.set(new)
    }
    fn cuModuleGetGlobal_v2(place: Out<u64>, bytes: Out<usize>, module: u64, name: *const c_char) {
        let Image::Ptx(module) = &*image(module)? else { return Err(Code::NotFound) };
        let (address, size) = module.global(text(name)).ok_or(Code::NotFound)?;
        place.set(address)?;
        bytes.set(size)
    }
    fn cuFuncSetAttribute(handle: u64, attribute: i32, value: i32) {
        let function = function(handle)?;
        let value = usize::try_from(value).map_err(|_| Code::InvalidValue)?;
        match attribute {
            8 if function.shared_bytes + value <= most_shared() as usize => {
                function.most_dynamic.store(value, Ordering::Relaxed);
                Ok(())
            }
            8 => refuse(Code::InvalidValue, format_args!("{}: {value} bytes of dynamic shared memory", function.name)),
            9 if value <= 100 => Ok(()), // the share of shared memory, in per cent
            _ => refuse(Code::InvalidValue, format_args!("{}: attribute {attribute} cannot be set", function.name)),
        }
    }
    fn cuFuncGetAttribute(value: Out<i32>, attribute: i32, handle: u64) {
        let function = function(handle)?;
        let (major, minor) = settings().capability;
        value.set(match attribute {
            0 => function.threads as i32,
            1 => function.shared_bytes as i32,
            4 => 64, // registers: what a compiler would need is not known here
            5 | 6 => major * 10 + minor,
            8 => function.most_dynamic.load(Ordering::Relaxed) as i32,
            2 | 3 | 7 | 9 => 0,
            _ => return Err(Code::InvalidValue),
        })
    }
    fn cuFuncGetParamInfo(handle: u64, at: usize, offset: Out<usize>, bytes: Out<usize>) {
        let function = function(handle)?;
        let (place, size) = *function.parameters.get(at).ok_or(Code::InvalidValue)?;
        offset.set(place)?;
        if bytes.address() == 0 { Ok(()) } else { bytes.set(size) }
    }
    fn cuFuncSetCacheConfig(handle: u64, _config: i32) { function(handle).map(|_| ()) }
    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks: Out<i32>, handle: u64, threads: i32, dynamic: usize) {
        blocks.set(occupancy(&*function(handle)?, threads, dynamic))
    }
    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        blocks: Out<i32>, handle: u64, threads: i32, dynamic: usize, _flags: u32,
    ) {
        blocks.set(occupancy(&*function(handle)?, threads, dynamic))
    }
}

/// Blocks that one multiprocessor holds, by threads and shared memory.
fn occupancy(function: &Function, threads: i32, dynamic: usize) -> i32 {
    let shared = function.shared_bytes + dynamic + 1024; // the system takes 1 KiB a block
    let by_shared = (most_shared() as usize + 1024) / shared;
    let by_threads = 2048 / threads.max(1).cast_unsigned().next_multiple_of(32) as usize;
    by_shared.min(by_threads).min(32) as i32
}
