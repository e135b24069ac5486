//! Where the memory went: parts that do not overlap, and what none of them explains.
//!
//! Told in two ways: by the counters that the kernel keeps ([`Accounting`]), and by what each
//! page is used for ([`Memory`]), which no counter can be wrong about.

mod counters;
mod kmalloc;
mod pages;

use serde::Serialize;

pub use counters::{Accounting, FreeSummary};
pub use kmalloc::LargeKmalloc;
pub use pages::{Counted, Memory, by_pages, owner_name};

/// One part of the memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Stable, for programs; the same wherever the same is meant.
    pub code: &'static str,
    /// For people.
    pub name: &'static str,
    /// Its size.
    pub bytes: u64,
}
