//! Strong types for the three kinds of number that must never be mixed up:
//! physical addresses, kernel virtual addresses and page frame numbers.
//!
//! Layer: vocabulary. Addresses serialise as strings of `0x` and 16 digits,
//! because JSON numbers lose precision above 2^53.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// This address moved up by `bytes`, wrapping as the kernel's arithmetic does.
            pub fn plus(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }

            /// This address moved down by `bytes`, wrapping (`container_of`).
            pub fn minus(self, bytes: u64) -> Self {
                Self(self.0.wrapping_sub(bytes))
            }

            /// Bytes from `base` to this address, or `None` if it lies below.
            pub fn offset_from(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#018x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

address! {
    /// A physical address, in bytes.
    PhysAddr
}
address! {
    /// A kernel virtual address, in bytes.
    VirtAddr
}

impl VirtAddr {
    /// Whether this is the null pointer.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// Bytes of the smallest pages that Linux has on any 64-bit architecture.
pub const SMALLEST_PAGE: u32 = 4 << 10;
/// Bytes of the largest.
pub const LARGEST_PAGE: u32 = 64 << 10;

/// Whether pages may have this size.
pub fn is_page_size(bytes: u32) -> bool {
    bytes.is_power_of_two() && (SMALLEST_PAGE..=LARGEST_PAGE).contains(&bytes)
}

/// A page frame number: a physical address divided by the page size.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u64);

impl Pfn {
    /// The frame that holds `addr`, with pages of `1 << shift` bytes.
    pub fn containing(addr: PhysAddr, shift: u32) -> Self {
        Self(addr.0 >> shift)
    }

    /// The physical address of the first byte of the frame.
    pub fn start(self, shift: u32) -> PhysAddr {
        PhysAddr(self.0 << shift)
    }
}

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pfn {:#x}", self.0)
    }
}

impl fmt::Debug for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pfn({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_sixteen_digits() {
        let addr = VirtAddr(0xffff_8880_0000_1000);
        assert_eq!(addr.to_string(), "0xffff888000001000");
        assert_eq!(
            serde_json::to_string(&PhysAddr(0x10)).ok().as_deref(),
            Some("\"0x0000000000000010\"")
        );
    }

    #[test]
    fn pfn_and_address_convert_both_ways() {
        assert_eq!(Pfn::containing(PhysAddr(0x12345), 12), Pfn(0x12));
        assert_eq!(Pfn(0x12).start(12), PhysAddr(0x12000));
    }
}
