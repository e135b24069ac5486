//! Synthetic kernels for vmleak's tests.
//!
//! ```text
//! Era + PagingLevels + Scenario ─▶ Machine ─┬▶ truth()
//!                                           ├▶ conntrack_truth(), with conntrack
//!                                           ├▶ leaks_truth(), where objects are lost
//!                                           ├▶ damage::…   (before writing)
//!                                           ├▶ write::…    ELF, kdump, flattened, split
//!                                           └▶ debuginfo:: vmlinux and modules with DWARF
//! ```
//!
//! Nothing here comes from vmleak: the C types are tables read from distribution
//! kernels (`layouts/`), the formats are written from their descriptions. A wrong
//! constant on one side therefore shows as a difference.
//!
//! A mistake in a table or scenario is a panic: this crate only runs in tests.

pub mod conntrack;
pub mod ctypes;
pub mod damage;
pub mod debuginfo;
pub mod era;
pub mod leaks;
pub mod machine;
pub mod memory;
pub mod random;
pub mod slub;
pub mod write;

pub use conntrack::ConntrackTruth;
pub use ctypes::Change;
pub use era::{Era, PagingLevels};
pub use leaks::LeaksTruth;
pub use machine::{Machine, Options};
pub use slub::scenario::{Freelist, Scenario};
pub use slub::truth::Truth;
