//! Facts to findings: pure functions that read no memory and print nothing.

pub mod accounting;
pub mod conntrack;
pub mod filter;
pub mod nat;
pub mod sysctl_check;
