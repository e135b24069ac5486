//! Kernel virtual memory out of physical pages.
//!
//! Layer: above `dump`. Input: a [`Dump`] with VMCOREINFO. Output: reads at virtual
//! addresses. Linear parts (kernel image, direct map) are arithmetic; everything else
//! (vmalloc, vmemmap, modules, per-CPU chunks) goes through the kernel's own page
//! tables. Invariant: an address that is not mapped, or whose page the dump lacks, is
//! a [`MemFault`] that names the address and the reason, never zeros.

use std::sync::Arc;

use thiserror::Error;

mod mmu;
pub mod x86_64;

pub use mmu::{Level, Mapping, MmuSpec, WalkError};

use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::bytes;
use crate::dump::{Dump, Page, PageFault};
use x86_64::X86Space;

/// A virtual range that maps to physical memory at a fixed distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearRegion {
    /// First address.
    pub start: VirtAddr,
    /// One past the last address.
    pub end: VirtAddr,
    /// Physical address of `start`.
    pub phys: PhysAddr,
}

impl LinearRegion {
    fn translate(&self, va: VirtAddr) -> Option<Mapping> {
        (self.start <= va && va < self.end).then(|| Mapping {
            phys: self.phys.plus(va.0 - self.start.0),
            len: self.end.0 - va.0,
        })
    }
}

/// Why the address space of a dump can't be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The dump has no VMCOREINFO.
    #[error(
        "the dump has no VMCOREINFO, so its address space is unknown; take the dump with kdump, or with a vmcoreinfo device for QEMU's dump-guest-memory"
    )]
    NoVmcoreInfo,
    /// VMCOREINFO lacks something needed.
    #[error("VMCOREINFO lacks {0}; is this a dump of an x86_64 kernel?")]
    MissingKey(&'static str),
    /// The page-table root lies outside the kernel image.
    #[error("VMCOREINFO places the page tables at {0}, outside the kernel image")]
    BadRoot(VirtAddr),
}

/// Why memory at a virtual address can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MemFault {
    /// The kernel mapped nothing there.
    #[error("{va} is not mapped (no {level} entry)")]
    Unmapped {
        /// The address.
        va: VirtAddr,
        /// The page-table level whose entry is not present.
        level: &'static str,
    },
    /// A page table on the way is not in the dump.
    #[error("{va} can't be translated: its {level} table: {fault}")]
    Table {
        /// The address.
        va: VirtAddr,
        /// The level of the table.
        level: &'static str,
        /// Why the table's page can't be had.
        fault: PageFault,
    },
    /// The page itself is not in the dump.
    #[error("{va}: {fault}")]
    Page {
        /// The address.
        va: VirtAddr,
        /// Why its page can't be had.
        fault: PageFault,
    },
}

impl MemFault {
    /// The dump's reason, where the kernel did map the address.
    pub fn page_fault(&self) -> Option<PageFault> {
        match self {
            MemFault::Unmapped { .. } => None,
            MemFault::Table { fault, .. } | MemFault::Page { fault, .. } => Some(*fault),
        }
    }
}

/// Some bytes of memory, borrowed from their page where they lie in one.
#[derive(Debug)]
pub enum Span<'a> {
    /// Part of a page.
    Page {
        /// The page.
        page: Page<'a>,
        /// Where in it they start.
        start: usize,
        /// How many there are.
        len: usize,
    },
    /// Put together from several pages.
    Copied(Vec<u8>),
}

impl std::ops::Deref for Span<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Span::Page { page, start, len } => bytes::slice(page, *start, *len).unwrap_or_default(),
            Span::Copied(bytes) => bytes,
        }
    }
}

/// The kernel's address space at the crash.
#[derive(Debug)]
pub struct AddressSpace {
    dump: Arc<Dump>,
    arch: X86Space,
    image: LinearRegion,
    direct: LinearRegion,
}

impl AddressSpace {
    /// Sets up translation from VMCOREINFO alone; the direct map is at its default place until
    /// [`place_direct_map`](Self::place_direct_map) is told the kernel's variables.
    ///
    /// # Errors
    /// If VMCOREINFO is missing or lacks what an x86_64 kernel writes.
    pub fn new(dump: Arc<Dump>) -> Result<Self, SpaceError> {
        let info = dump
            .notes()
            .vmcoreinfo
            .as_ref()
            .ok_or(SpaceError::NoVmcoreInfo)?;
        let arch = X86Space::from_vmcoreinfo(info)?;
        Ok(Self {
            image: arch.image,
            direct: arch.direct_map(None, None),
            arch,
            dump,
        })
    }

    /// Places the direct map where `page_offset_base` says; it ends at `vmalloc_base`.
    pub fn place_direct_map(&mut self, page_offset: Option<u64>, vmalloc: Option<u64>) {
        self.direct = self.arch.direct_map(page_offset, vmalloc);
    }

    /// The dump below.
    pub fn dump(&self) -> &Dump {
        &self.dump
    }

    /// The name of the translation in use.
    pub fn mmu_name(&self) -> &'static str {
        self.arch.mmu.name
    }

    /// Bits that a physical address has at most (arch/x86/include/asm/sparsemem.h).
    pub fn physical_bits(&self) -> u32 {
        match self.arch.mmu.levels.len() {
            5.. => 52,
            _ => 46,
        }
    }

    /// The first address of the direct map.
    pub fn direct_map_start(&self) -> VirtAddr {
        self.direct.start
    }

    /// The virtual address of physical memory in the direct map.
    pub fn direct_map_address(&self, phys: PhysAddr) -> VirtAddr {
        self.direct.start.plus(phys.0)
    }

    /// Translates an address, and says how far the translation holds.
    ///
    /// # Errors
    /// If nothing is mapped there or a page table is missing.
    pub fn translate(&self, va: VirtAddr) -> Result<Mapping, MemFault> {
        for region in [&self.direct, &self.image] {
            if let Some(mapping) = region.translate(va) {
                return Ok(mapping);
            }
        }
        let entry = |at| self.read_phys_u64(at);
        self.arch
            .mmu
            .walk(self.arch.root, self.arch.encryption_bits, va, entry)
            .map_err(|error| match error {
                WalkError::NotPresent(level) => MemFault::Unmapped { va, level },
                WalkError::Table(level, fault) => MemFault::Table { va, level, fault },
            })
    }

    fn read_phys_u64(&self, at: PhysAddr) -> Result<u64, PageFault> {
        let shift = self.dump.page_shift();
        let page = self.dump.page(Pfn::containing(at, shift))?;
        let within = (at.0 & ((1 << shift) - 1)) as usize;
        Ok(bytes::u64_at(&page, within).unwrap_or(0))
    }

    /// The page that holds `va`, and the offset of `va` in it.
    ///
    /// # Errors
    /// If the address is not mapped or the dump lacks its page.
    pub fn page_at(&self, va: VirtAddr) -> Result<(Page<'_>, usize), MemFault> {
        let phys = self.translate(va)?.phys;
        let shift = self.dump.page_shift();
        let page = self
            .dump
            .page(Pfn::containing(phys, shift))
            .map_err(|fault| MemFault::Page { va, fault })?;
        Ok((page, (phys.0 & ((1 << shift) - 1)) as usize))
    }

    /// Fills `out` from memory at `va`, across pages.
    ///
    /// # Errors
    /// At the first page that can't be read; `out` is then partly filled.
    pub fn read(&self, va: VirtAddr, out: &mut [u8]) -> Result<(), MemFault> {
        let mut at = va;
        let mut rest = out;
        while !rest.is_empty() {
            let (page, within) = self.page_at(at)?;
            let len = rest.len().min(page.len() - within);
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(bytes::slice(&page, within, len).unwrap_or_default());
            at = at.plus(len as u64);
            rest = later;
        }
        Ok(())
    }

    /// `len` bytes at `va`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_bytes(&self, va: VirtAddr, len: usize) -> Result<Vec<u8>, MemFault> {
        let mut out = vec![0; len];
        self.read(va, &mut out)?;
        Ok(out)
    }

    /// `len` bytes at `va`, in place if they lie within one page.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn span(&self, va: VirtAddr, len: usize) -> Result<Span<'_>, MemFault> {
        let (page, start) = self.page_at(va)?;
        if len <= page.len() - start {
            Ok(Span::Page { page, start, len })
        } else {
            self.read_bytes(va, len).map(Span::Copied)
        }
    }

    /// A 64-bit word.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_u64(&self, va: VirtAddr) -> Result<u64, MemFault> {
        let word = self.span(va, 8)?;
        Ok(bytes::u64_at(&word, 0).unwrap_or(0))
    }

    /// A 32-bit word.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_u32(&self, va: VirtAddr) -> Result<u32, MemFault> {
        let word = self.span(va, 4)?;
        Ok(bytes::u32_at(&word, 0).unwrap_or(0))
    }

    /// A pointer.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_ptr(&self, va: VirtAddr) -> Result<VirtAddr, MemFault> {
        self.read_u64(va).map(VirtAddr)
    }

    /// The NUL-terminated string at `va`, at most `max` bytes of it.
    ///
    /// # Errors
    /// As [`read`](Self::read), if the fault comes before the NUL.
    pub fn read_c_string(&self, va: VirtAddr, max: usize) -> Result<String, MemFault> {
        let mut text = Vec::new();
        while text.len() < max {
            let (page, within) = self.page_at(va.plus(text.len() as u64))?;
            let rest = page.get(within..).unwrap_or_default();
            let rest = rest.get(..rest.len().min(max - text.len())).unwrap_or(rest);
            match memchr::memchr(0, rest) {
                Some(end) => {
                    text.extend_from_slice(rest.get(..end).unwrap_or_default());
                    break;
                }
                None => text.extend_from_slice(rest),
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::x86_64::{FIVE_LEVELS, FOUR_LEVELS};
    use super::*;

    /// A tree whose every entry is at an address made of its table and index.
    fn read(tables: &[(u64, u64)]) -> impl Fn(PhysAddr) -> Result<u64, ()> + '_ {
        |at| {
            let found = tables.iter().find(|(address, _)| *address == at.0);
            Ok(found.map_or(0, |(_, entry)| *entry))
        }
    }

    #[test]
    fn four_levels_to_a_4k_page() {
        let va = VirtAddr(0xffff_c900_0040_3123);
        let index = |shift: u32| (va.0 >> shift & 511) * 8;
        let tables = [
            (0x1000 + index(39), 0x2000 | 0x63),
            (0x2000 + index(30), 0x3000 | 0x63),
            (0x3000 + index(21), 0x4000 | 0x63),
            (0x4000 + index(12), 0x8000_0000_1234_5000 | 0x163),
        ];
        let mapping = FOUR_LEVELS.walk(PhysAddr(0x1000), 0, va, read(&tables));
        assert_eq!(
            mapping,
            Ok(Mapping {
                phys: PhysAddr(0x1234_5123),
                len: 0x1000 - 0x123
            })
        );
        let unmapped = FOUR_LEVELS.walk(PhysAddr(0x1000), 0, va.plus(0x1000), read(&tables));
        assert_eq!(unmapped, Err(WalkError::NotPresent("pte")));
    }

    #[test]
    fn five_levels_to_a_2m_block_with_encryption_bit_and_pat() {
        let va = VirtAddr(0xffd4_0000_0040_0010);
        let sme = 1 << 47;
        let index = |shift: u32| (va.0 >> shift & 511) * 8;
        let tables = [
            (0x1000 + index(48), 0x2000 | sme | 1),
            (0x2000 + index(39), 0x3000 | sme | 1),
            (0x3000 + index(30), 0x4000 | sme | 1),
            // Bit 12 of a 2M entry is the PAT bit, not address.
            (0x4000 + index(21), 0x4000_0000 | sme | 1 << 12 | 0x81),
        ];
        let mapping = FIVE_LEVELS.walk(PhysAddr(0x1000), sme, va, read(&tables));
        assert_eq!(
            mapping,
            Ok(Mapping {
                phys: PhysAddr(0x4000_0010),
                len: 0x20_0000 - 0x10
            })
        );
    }
}
