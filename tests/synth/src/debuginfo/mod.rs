//! The debugging information of a machine's kernel.
//!
//! Input: a [`crate::Machine`]'s type table and symbols. Output: a vmlinux with
//! DWARF 4 or 5, BTF, or both, and relocatable files of its modules. The BTF also stands in the machine's memory, between
//! `__start_BTF` and `__stop_BTF`.

pub mod btf;
mod decoys;
mod dwarf;
mod elf;
mod module;
mod sources;
mod vmlinux;

pub use module::module;
pub use vmlinux::{Compression, VmlinuxOptions, vmlinux};
