//! aarch64: where its kernels place things, and how descriptors are written.
//!
//! Source: arch/arm64/include/asm/memory.h, pgtable-hwdef.h of 4.19 to 6.12.

use crate::era::Era;

/// An aarch64 machine with its kernel's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arm64 {
    /// log2 of the bytes of a page.
    pub page_shift: u32,
    /// `CONFIG_ARM64_VA_BITS`.
    pub configured: u32,
    /// What the processor translates.
    pub translated: u32,
    /// The linear map is the upper half, as up to 5.3, and not the lower.
    pub upper: bool,
    /// 64-bit word that return addresses are signed in; 0 without pointer authentication.
    pub signature: u64,
}

/// `-(1 << bits)`.
fn below_top(bits: u32) -> u64 {
    (1u64 << bits).wrapping_neg()
}

impl Arm64 {
    /// Since 5.4, with all bits that the kernel is built for.
    pub const fn new(page_shift: u32, bits: u32) -> Self {
        Self {
            page_shift,
            configured: bits,
            translated: bits,
            upper: false,
            signature: 0,
        }
    }

    /// `VA_BITS_MIN`.
    fn fewest(self) -> u32 {
        match (self.configured, self.page_shift) {
            (52, 14) => 47,
            (52, _) => 48,
            (bits, _) => bits,
        }
    }

    /// Where the linear map begins.
    pub fn linear(self) -> u64 {
        match self.upper {
            true => below_top(self.configured - 1),
            false => below_top(self.translated),
        }
    }

    /// Where modules begin, and behind them the image and vmalloc.
    pub fn modules(self) -> u64 {
        match self.upper {
            true => below_top(self.configured),
            false => below_top(self.fewest() - 1),
        }
    }

    /// Where `vmemmap` lies: in the last part of the addresses that are not linear.
    pub fn vmemmap(self) -> u64 {
        // The array is 1/64 of what a page of 4 KiB describes.
        let array = 1u64 << (self.fewest() - 1 - (self.page_shift - 6));
        match self.upper {
            true => self.linear() - array,
            false => below_top(30) - array,
        }
    }

    /// `PHYS_OFFSET` where `zero` is the address that physical 0 has in the linear map.
    pub fn phys_offset(self, zero: u64) -> u64 {
        let page_offset = match self.upper {
            true => self.linear(),
            false => below_top(self.configured),
        };
        page_offset.wrapping_sub(zero)
    }

    /// Lowest bit and number of bits of each level, from the root down.
    pub fn levels(self) -> Vec<(u32, u32)> {
        // The table of 64 KiB pages is made for what the kernel is built for.
        let bits = match self.page_shift {
            16 => self.configured,
            _ => self.translated,
        };
        let each = self.page_shift - 3;
        let mut levels = Vec::new();
        let mut shift = self.page_shift;
        while shift < bits {
            levels.push((shift, each.min(bits - shift)));
            shift += each;
        }
        levels.reverse();
        levels
    }

    /// Where the bits of an address are in a descriptor: those above 47 or 49 lie in low bits.
    fn high(self) -> (u64, u32) {
        match (self.page_shift, self.translated) {
            (16, _) => (0xf << 12, 36),
            (_, 52) => (3 << 8, 42),
            _ => (0, 0),
        }
    }

    /// The descriptor's address bits of a physical address.
    pub fn encode(self, phys: u64) -> u64 {
        let (high, shift) = self.high();
        let above = high << shift;
        phys & !above | (phys & above) >> shift
    }

    /// The other way round: of a descriptor.
    pub fn decode(self, entry: u64) -> u64 {
        let (high, shift) = self.high();
        let low = match (self.page_shift, self.translated) {
            (16, _) => 0x0000_ffff_ffff_0000,
            (_, 52) => 0x0003_ffff_ffff_f000,
            _ => 0x0000_ffff_ffff_f000,
        };
        entry & low | (entry & high) << shift
    }

    /// `KERNELPACMASK`: bits 63 down to those that are translated, but for bit 55, which is set.
    pub fn signature_mask(self) -> u64 {
        match self.signature {
            0 => 0,
            _ => below_top(self.translated),
        }
    }
}

impl Arm64 {
    /// Every size of pages with every number of bits that it has had, old and new layouts, and
    /// processors that translate less than the kernel is built for.
    pub fn machines() -> Vec<Self> {
        let less = |page_shift, translated| Self {
            translated,
            ..Self::new(page_shift, 52)
        };
        let upper = |bits| Self {
            upper: true,
            ..Self::new(12, bits)
        };
        let signed = Self {
            signature: 0x006c_0000_0000_0000,
            ..Self::new(12, 52)
        };
        vec![
            Self::new(12, 39),
            Self::new(12, 48),
            less(12, 48),
            Self::new(14, 47),
            Self::new(14, 48),
            Self::new(14, 52),
            less(14, 47),
            Self::new(16, 42),
            Self::new(16, 48),
            Self::new(16, 52),
            less(16, 48),
            signed,
            upper(39),
            upper(48),
        ]
    }

    /// Whether a kernel of that era can have it: the map is the upper half up to 5.3 only.
    pub fn is_of(self, era: Era) -> bool {
        self.upper == (era == Era::V4_18)
    }
}
