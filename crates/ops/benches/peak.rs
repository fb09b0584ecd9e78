//! What the machine can do: multiply-adds without memory, and memory without arithmetic.
//!
//! `cargo bench --workspace --profile dev --bench peak -- [--threads N]`: one line of JSON.
#![allow(missing_docs)]

mod machine;

use machine::{copy_gbps, peak_gflops};

fn main() -> Result<(), rayon::ThreadPoolBuildError> {
    let threads = machine::threads();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let gflops = peak_gflops() * threads as f64;
    let gbps = pool.install(copy_gbps);
    println!("{{\"threads\":{threads},\"gflops\":{gflops:.1},\"copyGbps\":{gbps:.2}}}");
    Ok(())
}
