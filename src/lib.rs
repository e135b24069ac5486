//! vmleak: what the slab allocator and the conntrack table of a Linux machine
//! held when it crashed, read from its crash dump.
#![deny(unsafe_code, missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod addr;
pub mod analysis;
mod bytes;
pub mod diag;
pub mod dump;
pub mod graph;
pub mod kernel;
pub mod once;
pub mod open;
pub mod partial;
pub mod render;
pub mod report;
pub mod space;
pub mod subsys;
pub mod types;

pub use open::open;
