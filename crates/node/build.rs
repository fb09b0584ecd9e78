//! Hands the napi linker flags to cargo.

fn main() {
    napi_build::setup();
}
