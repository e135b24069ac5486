//! Where linear map, image and vmalloc are, by the numbers of the note.
//!
//! Source: arch/arm64/include/asm/memory.h and pgtable.h of 4.19, 5.4, 5.10, 5.15, 6.12.

use std::ops::Range;

use super::super::super::LinearRegion;
use super::super::super::boot::Fact;
use super::bits;
use crate::addr::{PhysAddr, VirtAddr};
use crate::dump::VmcoreInfo;

/// More bits no address has (LVA, LPA2).
pub(super) const MOST_BITS: u32 = 52;
/// Every kernel's image is smaller: branches reach so far.
const MOST_IMAGE: u64 = 1 << 30;

/// What tells where everything is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) page_shift: u32,
    /// `VA_BITS`.
    pub(super) configured: u32,
    /// `vabits_actual`, where the note tells it.
    pub(super) translated: Option<u32>,
    /// `PHYS_OFFSET`, which is `memstart_addr`.
    pub(super) phys_offset: u64,
    pub(super) stext: VirtAddr,
    pub(super) kernel_offset: u64,
}

/// `-(1 << bits)`: `_PAGE_OFFSET(bits)`, or `_PAGE_END(bits + 1)`.
fn below_top(bits: u32) -> u64 {
    (1u64 << bits).wrapping_neg()
}

impl Layout {
    /// 64 less `TCR_EL1.T1SZ`, since 5.9 (commit bbdbc11804ff).
    pub(super) fn with_translated(self, info: &VmcoreInfo) -> Self {
        let size = info.number("TCR_EL1_T1SZ").map(i64::cast_unsigned);
        let noted = size.and_then(|size| bits(64u64.checked_sub(size)?));
        // Without it only addresses tell: this one is of the linear map.
        let of_map = info.symbol("mem_section").filter(|_| self.configured > 48);
        let by_address = of_map.map(|at| match at.0 < below_top(48) {
            true => MOST_BITS,
            false => self.fewest(),
        });
        Self {
            translated: noted.or(by_address).filter(|bits| *bits <= self.configured),
            ..self
        }
    }

    /// Bits that are translated.
    pub(super) fn bits(&self) -> u32 {
        self.translated.unwrap_or(self.configured)
    }

    /// Bits that the tables are made for. A kernel of 64 KiB pages for 52 bits has the table for 52
    /// on every processor; the bits between are 1 in all its addresses
    /// (`TTBR1_BADDR_4852_OFFSET`).
    pub(super) fn table_bits(&self) -> u32 {
        match self.page_shift == super::SHIFT_64K {
            true => self.configured,
            false => self.bits(),
        }
    }

    /// `VA_BITS_MIN`: what a kernel for 52 bits has at least.
    fn fewest(&self) -> u32 {
        match (self.configured > 48, self.page_shift) {
            (false, _) => self.configured,
            (true, 14) => 47,
            (true, _) => 48,
        }
    }

    /// Whether the linear map is the lower half, which it is since 5.4 (commit 14c127c957c1): then
    /// the image is in the upper.
    fn is_flipped(&self) -> bool {
        self.stext.0 >= below_top(self.fewest() - 1)
    }

    /// From here on there are modules and the image (`MODULES_VADDR`, `VA_START`).
    pub(super) fn first_symbol(&self) -> VirtAddr {
        VirtAddr(match self.is_flipped() {
            true => below_top(self.fewest() - 1),
            false => below_top(self.configured),
        })
    }

    /// The region that holds all of the image, and the distance of its addresses.
    pub(super) fn image(&self, voffset: u64) -> LinearRegion {
        // `_text` is up to 64 KiB below `_stext`.
        let start = VirtAddr((self.stext.0 & !0xffff).saturating_sub(0x1_0000));
        LinearRegion {
            start,
            end: VirtAddr(start.0.saturating_add(MOST_IMAGE)),
            phys: PhysAddr(start.minus(voffset).0),
        }
    }

    /// `__lm_to_phys()`.
    pub(super) fn direct_map(&self) -> LinearRegion {
        let phys_offset = self.phys_offset;
        if !self.is_flipped() {
            return LinearRegion {
                start: VirtAddr(below_top(self.configured - 1)),
                end: VirtAddr(u64::MAX),
                phys: PhysAddr(phys_offset),
            };
        }
        let start = below_top(self.bits());
        // Since 5.10 (commit 7bc1a0f9e176) a kernel for 52 bits on a processor with fewer has an
        // offset from the start for 52; before, from the start there is. They are 2^52 apart.
        let from_configured = phys_offset.cast_signed() < below_top(MOST_BITS - 1).cast_signed();
        let base = match from_configured {
            true => below_top(self.configured),
            false => start,
        };
        LinearRegion {
            start: VirtAddr(start),
            end: VirtAddr(below_top(self.fewest() - 1)),
            phys: PhysAddr(start.wrapping_sub(base).wrapping_add(phys_offset)),
        }
    }

    /// `VMALLOC_START` to `VMALLOC_END`, which the note tells since 6.0 (commit 2369f171d5c5).
    pub(super) fn vmalloc(&self, info: &VmcoreInfo) -> Fact<Range<VirtAddr>> {
        let noted = |name| info.number(name).map(|at| VirtAddr(at.cast_unsigned()));
        let noted = noted("VMALLOC_START").zip(noted("VMALLOC_END"));
        let noted = noted.filter(|(start, end)| start < end);
        // `MODULES_END`, where the image is linked to (`KIMAGE_VADDR`): of 2 MiB, and little less
        // than `_stext`.
        let start = self.stext.minus(self.kernel_offset).0 & !0x1f_ffff;
        let end = self.vmalloc_end(info.number("SECTION_SIZE_BITS"));
        Fact::noted_or(
            noted.map(|(start, end)| start..end),
            VirtAddr(start)..VirtAddr(end.max(start)),
        )
    }

    fn vmalloc_end(&self, section_bits: Option<i64>) -> u64 {
        // log2 of how much smaller the array of page structures is than what it describes.
        let smaller = self.page_shift - 6;
        // `PUD_SIZE`: the root's, where there are fewer levels.
        let levels = (self.configured - self.page_shift).div_ceil(self.page_shift - 3);
        let pud = 1u64 << ((self.page_shift - 3) * levels.min(3) + 3);
        let below = |top: u64, size: u64| {
            let end = top.wrapping_sub(pud).wrapping_sub(size);
            end.wrapping_sub(64 << 10)
        };
        if !self.is_flipped() {
            let size = 1u64 << (self.configured - 1 - smaller);
            return below(below_top(self.configured - 1), size);
        }
        // Sections are smaller since 5.12 (commit f0b13ee23241), where the array's place changed,
        // too (commit 8c96400d6a39, 5.11).
        if section_bits.is_some_and(|bits| bits < 30) {
            return below_top(self.configured - smaller).wrapping_sub(256 << 20);
        }
        let map = below_top(self.fewest() - 1).wrapping_sub(below_top(self.configured));
        below(0, map >> smaller)
    }
}
