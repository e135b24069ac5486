//! Profiles: the types and symbols of one kernel that vmleak asks for, as a small file.
//!
//! A profile is a list of questions and their answers, "there is none" included: which
//! structure `kmem_cache` the unit mm/slub.c sees, which one any unit has, where the
//! symbol `slab_caches` is. What was not asked when it was written is an error by name
//! when it is asked later, never "this kernel has none". The form, JSON that may be
//! packed with zstd, is described in docs/profiles.md.
//!
//! Input: a [`TypeDb`](super::TypeDb) and a [`SymbolTable`](super::SymbolTable) on
//! writing, a file's bytes on reading. Invariants: a profile is checked as a whole when
//! it is opened; nothing larger than [`MAX_BYTES`] is
//! unpacked or parsed.

mod body;
mod content;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use content::ProfileIdentity;
pub use read::Profile;
pub use write::ProfileWriter;

/// Most that a profile may unpack to; those of distribution kernels have some 50 KB.
const MAX_BYTES: u64 = 8 << 20;

/// Static variables of functions have a number behind their name (`ct_id_seed.0`): these are
/// recorded with the name itself.
const NUMBERED: u32 = 256;
