//! The connection table: a scenario's entries laid into a kernel's memory.
//!
//! ```text
//! Conntrack (entries, expectations, namespaces) ─▶ lay ─┬▶ nf_conn, nf_ct_ext, lists in memory
//!                                                       └▶ ConntrackTruth, lines of /proc
//! ```
//!
//! [`entry`] and [`mod@tuple`] are the data, independent of any kernel version;
//! [`standard`] is a table with one of everything, [`many`] one for benchmarks.

pub mod entry;
mod expect;
mod ext;
mod fields;
pub mod lay;
mod lists;
pub mod many;
mod netns;
mod object;
pub mod proc;
mod rooms;
pub mod scenario;
pub mod standard;
pub mod status;
pub mod truth;
pub mod tuple;

pub use entry::Entry;
pub use lay::LaidConntrack;
pub(crate) use rooms::{pages, with_caches};
pub use scenario::{Conntrack, Entries};
pub use truth::ConntrackTruth;
