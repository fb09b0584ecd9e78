//! Kernels that the host's compiler made of the same sources (`host/`): a library that `EMU_KERNELS` names.
#![expect(unsafe_code, reason = "functions of a library that is opened at run time")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::OnceLock;

use crate::settings::settings;

type Find = unsafe extern "C" fn(*const c_char) -> *const c_void;
type Parameter = unsafe extern "C" fn(*const c_void, u32, *mut usize) -> i32;
type Threads = unsafe extern "C" fn(*const c_void) -> u32;
type Launch = unsafe extern "C" fn(*const HostLaunch) -> *const c_char;

/// What a launch hands over; `host/cuda_on_host.h` declares the same.
#[repr(C)]
struct HostLaunch {
    kernel: *const c_void,
    parameters: *const *const c_void,
    grid: [u32; 3],
    block: [u32; 3],
    dynamic_bytes: usize,
}

struct Library {
    find: Find,
    parameter: Parameter,
    threads: Threads,
    launch: Launch,
}

/// A kernel of the library.
#[derive(Clone, Copy)]
pub(crate) struct HostKernel(*const c_void);

// SAFETY: it points to a table of the library that never changes.
unsafe impl Send for HostKernel {}
// SAFETY: as above.
unsafe impl Sync for HostKernel {}

fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    let open = || {
        let path = CString::new(settings().kernels.as_deref()?).ok()?;
        // SAFETY: opening a library that was built for this runs its constructors, which register kernels.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            // SAFETY: after a failure it gives text.
            let why = unsafe { CStr::from_ptr(libc::dlerror()) };
            eprintln!("[cuda double] EMU_KERNELS: {}", why.to_string_lossy());
            return None;
        }
        let symbol = |name: &CStr| {
            // SAFETY: the library is open and the name ends with a zero.
            let found = unsafe { libc::dlsym(library, name.as_ptr()) };
            (!found.is_null()).then_some(found)
        };
        // SAFETY: `host/runtime.cpp` defines these functions with these types.
        unsafe {
            Some(Library {
                find: std::mem::transmute::<*mut c_void, Find>(symbol(c"emu_find")?),
                parameter: std::mem::transmute::<*mut c_void, Parameter>(symbol(c"emu_parameter")?),
                threads: std::mem::transmute::<*mut c_void, Threads>(symbol(c"emu_threads")?),
                launch: std::mem::transmute::<*mut c_void, Launch>(symbol(c"emu_launch")?),
            })
        }
    };
    LIBRARY.get_or_init(open).as_ref()
}

/// Whether there is a library, so that cubins can run.
pub(crate) fn is_there() -> bool {
    library().is_some()
}

impl HostKernel {
    pub(crate) fn find(name: &str) -> Option<HostKernel> {
        let name = CString::new(name).ok()?;
        // SAFETY: the name ends with a zero.
        let kernel = unsafe { (library()?.find)(name.as_ptr()) };
        (!kernel.is_null()).then_some(HostKernel(kernel))
    }

    /// Bytes of each parameter.
    pub(crate) fn parameters(self) -> Vec<usize> {
        let Some(library) = library() else { return vec![] };
        let size = |at: u32| {
            let mut bytes = 0;
            // SAFETY: the kernel is one of this library's.
            (unsafe { (library.parameter)(self.0, at, &raw mut bytes) } == 0).then_some(bytes)
        };
        (0..).map_while(size).collect()
    }

    /// The most threads of a block.
    pub(crate) fn threads(self) -> u32 {
        // SAFETY: the kernel is one of this library's.
        library().map_or(0, |library| unsafe { (library.threads)(self.0) })
    }

    /// Runs a launch, with each parameter's bytes.
    pub(crate) fn launch(
        self,
        parameters: &[Vec<u8>],
        (grid, block): ([u32; 3], [u32; 3]),
        dynamic_bytes: usize,
    ) -> Result<(), String> {
        let library = library().ok_or("there are no kernels for the host")?;
        let places: Vec<_> = parameters.iter().map(|bytes| bytes.as_ptr().cast::<c_void>()).collect();
        let launch = HostLaunch { kernel: self.0, parameters: places.as_ptr(), grid, block, dynamic_bytes };
        // SAFETY: each place holds as many bytes as `parameters` told; the library checks the sizes of the launch.
        let why = unsafe { (library.launch)(&raw const launch) };
        if why.is_null() {
            return Ok(());
        }
        // SAFETY: what is not null is text that lives until the thread's next launch.
        Err(unsafe { CStr::from_ptr(why) }.to_string_lossy().into_owned())
    }
}
