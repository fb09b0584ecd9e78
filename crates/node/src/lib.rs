//! The Node-API door: convert, call, convert. No decision is taken here.
//!
//! Every exported long call returns a promise of its answer or an `outcome::ErrorInfo`, never a rejected one: an error
//! that crosses an asynchronous Node-API call would lose its code. `src/native/unwrap.ts` turns it into a class. Types
//! of answers are declared here once; `napi build` writes them to `src/native/binding.d.ts`.
// The macros of napi expand to unsafe code and undocumented items; what we write ourselves has neither.
#![allow(unsafe_code, missing_docs, unreachable_pub)]
// Node-API hands arguments over by value.
#![allow(clippy::needless_pass_by_value)]
// Errors cross once a call.
#![allow(clippy::result_large_err)]
// Under test napi registers nothing, so nothing looks used.
#![cfg_attr(test, allow(dead_code))]

mod anatomy;
mod checkpoint;
mod classes;
mod dataset;
mod device;
mod engine;
mod evaluate;
mod inspect;
mod memory;
mod model;
mod monitor;
mod outcome;
mod phantom;
mod registry;
mod scan;
mod segment;
mod structure;
mod surface;
mod text;
mod tidy;
mod train;
mod tree;
mod volume;
mod warning;
