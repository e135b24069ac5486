//! How kallsyms writes addresses and lengths of names.

use super::KallsymsTables;
use crate::bytes::{u32_at, u64_at};

/// How the address of a symbol is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// 64-bit words.
    Absolute,
    /// Distance from its own place in the table (7.0 and later).
    PlaceRelative,
    /// Per-CPU symbols as they are, others negative: distance from the base, less one (x86 up to
    /// 6.14).
    AbsolutePercpu,
    /// Unsigned distance from the base.
    BaseRelative,
}

impl Addresses {
    /// Newest first.
    pub(super) const ALL: [Self; 4] = [
        Self::PlaceRelative,
        Self::BaseRelative,
        Self::AbsolutePercpu,
        Self::Absolute,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::PlaceRelative => "place-relative",
            Self::AbsolutePercpu => "absolute-percpu",
            Self::BaseRelative => "base-relative",
        }
    }

    pub(super) fn get(self, tables: &KallsymsTables, index: usize) -> Option<u64> {
        if self == Self::Absolute {
            return u64_at(&tables.addresses, index.checked_mul(8)?);
        }
        let at = index.checked_mul(4)?;
        let raw = u32_at(&tables.offsets, at)?;
        let signed = i64::from(raw.cast_signed());
        Some(match self {
            Self::PlaceRelative => tables
                .offsets_at
                .wrapping_add(at as u64)
                .wrapping_add_signed(signed),
            Self::AbsolutePercpu if signed >= 0 => u64::from(raw),
            Self::AbsolutePercpu => tables
                .relative_base?
                .wrapping_sub(1)
                .wrapping_add_signed(-signed),
            _ => tables.relative_base?.wrapping_add(u64::from(raw)),
        })
    }
}

/// How the length of a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lengths {
    /// From 128 on in two bytes (6.1 and later, commit 73bbb94466fd).
    TwoBytes,
    /// Always in one.
    OneByte,
}

impl Lengths {
    /// Length of the name at `at`, and where its tokens begin.
    pub(super) fn get(self, names: &[u8], at: usize) -> Option<(usize, usize)> {
        let first = usize::from(*names.get(at)?);
        if first < 0x80 || self == Self::OneByte {
            return Some((first, at + 1));
        }
        let high = usize::from(*names.get(at + 1)?);
        Some((first & 0x7f | high << 7, at + 2))
    }
}
