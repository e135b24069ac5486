//! vmleak reads the crash dump of a Linux kernel and says what filled the memory: every slab cache
//! object by object, which of them nothing points to any more and whose they are, the connection
//! table, and what the files of /proc said.
//!
//! ```
//! # use vmleak::open::Options;
//! # use vmleak::subsys::mm::slab::{NoProgress, SlabHeap};
//! # let (vmcore, vmlinux) = ("corpora/small-6.12/vmcore", "corpora/small-6.12/vmlinux");
//! let opened = vmleak::open(Options::new([vmcore, vmlinux]))?;
//! let heap = SlabHeap::read(&opened.kernel, &NoProgress)?;
//! let facts = heap.facts(&NoProgress)?;
//! let sessions = facts.caches.iter().find(|cache| cache.name == "leaky_session");
//! assert_eq!(sessions.map(|cache| cache.exact.allocated), Some(350));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does
//!
//! - [`open()`] finds out what the files are, looks for the kernel's debug information, checks that
//!   it is that of the kernel that crashed, and maps the dump.
//! - [`subsys`] collects facts, a folder for each part of the kernel; [`graph`] says who points to
//!   what; [`analysis`] judges facts; [`report`] puts them into one document, [`render`] writes it.
//!   [`cli::ask`] answers the commands of the command line as they are.
//! - What a page was left out for, what is broken and what this kernel does not have are told
//!   apart, in types. What is not known is never zero.
//!
//! # What it does not
//!
//! - It writes nothing, neither into the dump nor beside it, and prints nothing: that is for the
//!   program around it.
//! - It does not repair dumps or run commands on live machines, and fetches a debug file only where
//!   [`open::Options::debuginfod`] asks for it.
//! - It does not take the place of `crash` or `drgn`: it hands addresses over to them.
//! - No file can make it panic; memory is bounded by what [`open::Options`] says.
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

// The command line calls the library by its name, as other programs do.
extern crate self as vmleak;

pub mod addr;
pub mod analysis;
pub mod bundle;
mod bytes;
pub mod cli;
pub mod diag;
pub mod dump;
pub mod graph;
pub mod kernel;
mod once;
pub mod open;
pub mod partial;
pub mod render;
pub mod report;
pub mod space;
pub mod subsys;
pub mod types;

pub use open::open;
