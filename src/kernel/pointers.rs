//! How this kernel prints pointers (`%p`, `%pK` in lib/vsprintf.c): hashed with a secret of the
//! boot, unless it was told otherwise. The secret is in the dump, so the same is printed here.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::{Kernel, Known};
use crate::addr::VirtAddr;

/// How pointers come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointers {
    /// As they are: `no_hash_pointers`, or root reads with `kptr_restrict` 1.
    Real,
    /// Half of a keyed hash.
    Hashed(u64, u64),
    /// Zeros: `kptr_restrict` 2.
    Hidden,
    /// `(____ptrval____)`: the secret was not drawn yet.
    Unknown,
}

impl Pointers {
    /// `%pK`, as root reads it; `None` if the dump lacks the secret.
    pub fn restricted(kernel: &Kernel) -> Option<Self> {
        match kernel.u32_of("kptr_restrict") {
            Known::Value(1) => Some(Self::Real),
            Known::Value(2) => Some(Self::Hidden),
            Known::Missing(_) => None,
            Known::Value(_) | Known::Absent => Self::plain(kernel),
        }
    }

    /// `%p`; `None` if the dump lacks the secret.
    pub fn plain(kernel: &Kernel) -> Option<Self> {
        match kernel.bool_of("no_hash_pointers") {
            Known::Value(true) => return Some(Self::Real),
            Known::Missing(_) => return None,
            Known::Value(false) | Known::Absent => {}
        }
        // Before 4.15 nothing was hashed.
        let Some(at) = kernel.symbol("ptr_key") else {
            return Some(Self::Real);
        };
        let (low, high) = (
            kernel.space.read_u64(at).ok()?,
            kernel.space.read_u64(at.plus(8)).ok()?,
        );
        Some(match (low, high) {
            (0, 0) => Self::Unknown,
            _ => Self::Hashed(low, high),
        })
    }

    /// As printed, without `0x`.
    pub fn print(self, pointer: VirtAddr) -> String {
        match self {
            Self::Real => format!("{:016x}", pointer.0),
            Self::Hidden => "0".repeat(16),
            Self::Unknown => "(____ptrval____)".to_owned(),
            Self::Hashed(low, high) => {
                let mut hasher = SipHasher24::new_with_keys(low, high);
                hasher.write(&pointer.0.to_le_bytes());
                format!("{:016x}", hasher.finish() & 0xffff_ffff)
            }
        }
    }
}
