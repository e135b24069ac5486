//! Blocks of pages (`pageblock_order`), of each of which the kernel notes which kind of requests is
//! served from it (include/linux/pageblock-flags.h).

use super::layout::layout;
use super::memmap::Memmap;
use super::{Kernel, KernelError};
use crate::addr::{Pfn, VirtAddr};
use crate::space::MemFault;

layout! {
    /// include/linux/mmzone.h, 5.3 and later (commit f1eca35a0dc7).
    struct UsageLayout = "mem_section_usage" in "mm/sparse.c" {
        need flags = "pageblock_flags",
    }
}

/// Up to 6.17 a block has so many bits (commit e904bce2d9fc gives names to all of them).
const BITS: u64 = 4;
/// PB_migrate: the kind is in the first bits.
const KIND: u64 = 0b111;
const KIND_BITS: u64 = 3;
const HOME: &str = "mm/page_alloc.c";

/// Where the kinds of blocks are.
#[derive(Clone, Copy, Debug)]
pub struct PageBlocks {
    /// Pages of a block are 2^this.
    pub order: u32,
    /// How many kinds there are; `MIGRATE_ISOLATE` is one of them.
    pub kinds: usize,
    bits: u64,
    /// Whether blocks are counted from the top of a word down: up to 5.8 (commit d93d5ab9b915).
    pub from_top: bool,
    /// The bit that stands for `MIGRATE_ISOLATE`, and its number as a kind: 6.17 and later.
    isolated: Option<(u64, u64)>,
    /// From what a section points to on.
    within: u64,
    section_pages: u64,
}

impl PageBlocks {
    /// `largest` is the order of the largest free block, `kinds` how many lists of each order there
    /// are.
    ///
    /// # Errors
    /// If the types are damaged.
    pub fn read(
        kernel: &Kernel,
        memmap: &Memmap,
        largest: u32,
        kinds: usize,
    ) -> Result<Self, KernelError> {
        let of = |list: &str, name: &str| kernel.types.enumerator(list, HOME, name);
        let bits = match of("pageblock_bits", "__NR_PAGEBLOCK_BITS")? {
            Some(bits) => bits.unsigned_abs().clamp(1, 32).next_power_of_two(),
            None => BITS,
        };
        let isolated = of("pageblock_bits", "PB_migrate_isolate")?;
        let isolate = of("migratetype", "MIGRATE_ISOLATE")?;
        let isolated = isolated.zip(isolate);
        let within = match kernel.layout::<UsageLayout>() {
            Ok(usage) => u64::from(usage.flags.offset),
            Err(_) => 0,
        };
        // As many pages as one entry of the next level of page tables maps, where huge pages are
        // built in; else the largest block.
        let huge = kernel.dump().page_shift() - 3;
        let has_huge = kernel.symbol("hstates").is_some();
        Ok(Self {
            order: if has_huge { huge.min(largest) } else { largest },
            kinds,
            bits,
            from_top: false,
            isolated: isolated.map(|(bit, kind)| (1 << bit.clamp(0, 31), kind.unsigned_abs())),
            within,
            section_pages: memmap.section_pages(),
        })
    }

    /// The kind of the block that a page is in; `None` if its section keeps none.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn kind(
        &self,
        kernel: &Kernel,
        memmap: &Memmap,
        pfn: Pfn,
    ) -> Result<Option<u64>, MemFault> {
        let Some(flags) = memmap.block_flags(pfn) else {
            return Ok(None);
        };
        let within = pfn.0 % self.section_pages.max(1);
        let bit = (within >> self.order) * self.bits;
        let word: VirtAddr = flags.plus(self.within + bit / 64 * 8);
        let shift = match self.from_top {
            true => 64 - KIND_BITS - bit % 64,
            false => bit % 64,
        };
        let bits = kernel.space.read_u64(word)? >> shift;
        Ok(Some(match self.isolated {
            Some((isolated, kind)) if bits & isolated != 0 => kind,
            _ => bits & KIND,
        }))
    }
}
